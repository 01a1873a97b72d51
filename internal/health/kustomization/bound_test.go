package kustomization

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
)

// crowd answers after a while, and counts how many ask at once.
type crowd struct {
	client.Reader
	now, most atomic.Int64
}

func (c *crowd) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	n := c.now.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		continue
	}
	defer c.now.Add(-1)
	<-time.After(time.Millisecond)
	return c.Reader.Get(ctx, key, obj, opts...)
}

// Each object may take megabytes, and a namespace has many checks at work at once.
func TestChecksOfANamespaceReadAFewObjectsAtOnce(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("ns_settings-%d__ConfigMap", i))
	}
	cluster := checker(t, []client.Object{applied(ids)}, nil)
	synctest.Test(t, func(t *testing.T) {
		live := &crowd{Reader: cluster.Live}
		c := Checker{Live: live, Reads: fair.NewSlots(Reads)}
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				if _, err := c.Check(t.Context(), health.CheckInput{Check: check("app")}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if most := live.most.Load(); most != Reads {
			t.Errorf("%d objects were read at once, want %d", most, Reads)
		}
	})
}

// bombs are objects that no bounded reader reads; with all set, Kustomizations are too.
type bombs struct {
	client.Reader
	all bool
}

func (b bombs) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*kustomizev1.Kustomization); ok && !b.all {
		return b.Reader.Get(ctx, key, obj, opts...)
	}
	return fmt.Errorf("reading: %w", &kube.TooManyValuesError{})
}

// Whoever may write the status of a Kustomization can make its inventory as long as the API server allows.
func TestAnInventoryThatIsTooLargeHoldsTheRelease(t *testing.T) {
	t.Parallel()
	many := applied(slices.Repeat([]string{"ns_a__ConfigMap"}, maxObjects+1))
	for says, c := range map[string]Checker{
		"its inventory has 5001 objects, and at most 5000 are evaluated: split it": checker(t, []client.Object{many}, nil),
		"it holds more than 50000 objects and lists":                               {Live: bombs{all: true}},
	} {
		report, err := c.Check(t.Context(), health.CheckInput{Check: check("app")})
		if err != nil || report.State != v1alpha1.HealthPending || !strings.Contains(report.Message, "Kustomization app cannot be evaluated: "+says) {
			t.Errorf("%s: %q, %v", report.State, report.Message, err)
		}
		reason, message, err := c.RolledOut(t.Context(), &flux.KustomizationState{Namespace: "ns", Name: "app", Revision: flux.Revision(many)})
		if err != nil || reason != v1alpha1.ReasonWorkloadsUnknown || !strings.Contains(message, says) {
			t.Errorf("%s: %q, %v", reason, message, err)
		}
	}
}

// A cache holds no inventory, so that it is read anew, and may be of something else by then.
func TestWorkloadsOfAnotherRevisionSayNothing(t *testing.T) {
	t.Parallel()
	c := checker(t, []client.Object{applied([]string{web}), deployment(func(*appsv1.Deployment) {})}, nil)
	reason, message, err := c.RolledOut(t.Context(), &flux.KustomizationState{Namespace: "ns", Name: "app", Revision: "app/1//before"})
	if err != nil || reason != v1alpha1.ReasonWorkloadsNotReady || message != "Kustomization app has changed, and is looked at again" {
		t.Errorf("%s: %q, %v", reason, message, err)
	}
	reason, message, err = c.RolledOut(t.Context(), &flux.KustomizationState{Namespace: "ns", Name: "gone"})
	if err != nil || reason != v1alpha1.ReasonWorkloadsUnknown || message != "Kustomization gone does not exist" {
		t.Errorf("%s: %q, %v", reason, message, err)
	}
}

func TestAnObjectThatIsTooLargeHoldsTheRelease(t *testing.T) {
	t.Parallel()
	for id, says := range map[string]string{
		web:                         "Deployment ns/web cannot be evaluated: it holds more than 50000 objects and lists",
		"other_web_apps_Deployment": "Deployment other/web does not exist, or lacks the labels",
	} {
		cluster := checker(t, []client.Object{applied([]string{id})}, nil)
		c := Checker{Live: bombs{Reader: cluster.Live}}
		report, err := c.Check(t.Context(), health.CheckInput{Check: check("app")})
		if err != nil || report.State != v1alpha1.HealthPending || !strings.HasPrefix(report.Message, says) {
			t.Errorf("%s: %s: %q, %v", id, report.State, report.Message, err)
		}
	}
}
