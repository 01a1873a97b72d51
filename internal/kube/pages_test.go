package kube_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/kube"
)

// pagedServer is an API server with a number of Pods. It fails when it is asked for the page after failAfter.
type pagedServer struct {
	client.Reader
	pods, failAfter int
	lists           int
}

func (s *pagedServer) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	s.lists++
	from := 0
	if o.Continue != "" {
		from, _ = strconv.Atoi(o.Continue)
	}
	if s.failAfter > 0 && from >= s.failAfter {
		return errors.New("expired")
	}
	pods := list.(*corev1.PodList)
	for i := from; i < min(from+int(o.Limit), s.pods); i++ {
		pods.Items = append(pods.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Namespace: o.Namespace}})
	}
	if next := from + int(o.Limit); next < s.pods {
		pods.Continue = strconv.Itoa(next)
	}
	return nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server pagedServer
		stopAt int
		pages  []int
		fails  bool
		lists  int
	}{
		"none":                    {server: pagedServer{}, pages: []int{0}, lists: 1},
		"one page":                {server: pagedServer{pods: 3}, pages: []int{3}, lists: 1},
		"several pages":           {server: pagedServer{pods: 7}, pages: []int{3, 3, 1}, lists: 3},
		"the caller stops":        {server: pagedServer{pods: 7}, stopAt: 2, pages: []int{3, 3}, lists: 2},
		"the second page is gone": {server: pagedServer{pods: 7, failAfter: 3}, pages: []int{3}, fails: true, lists: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages []int
			var failed bool
			for list, err := range kube.Pages[corev1.PodList](t.Context(), &tc.server, 3, client.InNamespace("shop")) {
				if err != nil {
					failed = true
					continue
				}
				if len(list.Items) > 0 && list.Items[0].Namespace != "shop" {
					t.Errorf("the options are lost: %v", list.Items[0])
				}
				if pages = append(pages, len(list.Items)); len(pages) == tc.stopAt {
					break
				}
			}
			if !slices.Equal(pages, tc.pages) || failed != tc.fails || tc.server.lists != tc.lists {
				t.Errorf("pages %v, failed %t, %d lists; want %v, %t, %d", pages, failed, tc.server.lists, tc.pages, tc.fails, tc.lists)
			}
		})
	}
}
