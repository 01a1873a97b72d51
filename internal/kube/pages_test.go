package kube_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
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

// listServer is an API server that cannot stream objects, with a number of Pods.
type listServer struct {
	mu    sync.Mutex
	pods  int
	whole []*corev1.Pod // which were sent
	// most is the number of Pods that were in memory whole at the same time.
	most    int
	watched string
}

func (s *listServer) list(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, limit := 0, int(o.Limit)
	if o.ResourceVersion != "" || limit == 0 {
		limit = s.pods // it returns no pages then
	}
	if o.Continue != "" {
		from, _ = strconv.Atoi(o.Continue)
	}
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	for i := from; i < min(from+limit, s.pods); i++ {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Annotations: map[string]string{"large": "x"}}}
		list.Items = append(list.Items, pod)
	}
	for i := range list.Items {
		s.whole = append(s.whole, &list.Items[i])
	}
	if next := from + limit; next < s.pods {
		list.Continue, list.RemainingItemCount = strconv.Itoa(next), new(int64(s.pods-next))
	}
	whole := 0
	for _, pod := range s.whole {
		whole += len(pod.Annotations)
	}
	s.most = max(s.most, whole)
	return list, nil
}

func (s *listServer) watch(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if o.SendInitialEvents != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = o.ResourceVersion
	return watch.NewFake(), nil
}

// TestInformersListInPages: objects are trimmed before all of them are in memory.
func TestInformersListInPages(t *testing.T) {
	t.Parallel()
	trim := func(o any) (any, error) {
		if pod, ok := o.(*corev1.Pod); ok {
			pod.Annotations = nil
		}
		return o, nil
	}
	newInformer := kube.PagedInformers(func(runtime.Object) toolscache.TransformFunc { return trim })
	for _, pods := range []int{0, 1, 20, 21, 500} {
		t.Run(strconv.Itoa(pods), func(t *testing.T) {
			t.Parallel()
			server := &listServer{pods: pods}
			informer := newInformer(&toolscache.ListWatch{
				ListWithContextFunc: server.list, WatchFuncWithContext: server.watch,
			}, &corev1.Pod{}, 0, toolscache.Indexers{})
			go informer.RunWithContext(t.Context())
			if !toolscache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
				t.Fatal("the informer has not synced")
			}
			if cached := len(informer.GetStore().List()); cached != pods {
				t.Errorf("%d Pods are cached, want %d", cached, pods)
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			if server.most > 20 {
				t.Errorf("%d Pods were in memory whole", server.most)
			}
			if server.watched != "" && server.watched != "7" {
				t.Errorf("watches from %q, want that of the list", server.watched)
			}
		})
	}
}
