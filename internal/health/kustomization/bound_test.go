package kustomization

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

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
		c := Checker{Flux: cluster.Flux, Live: live, Reads: fair.NewSlots(Reads)}
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				if _, err := c.Check(t.Context(), health.Subject{Check: check("app")}); err != nil {
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

// bombs are objects that no bounded reader reads.
type bombs struct{ client.Reader }

func (bombs) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return fmt.Errorf("reading: %w", &kube.TooManyValuesError{})
}

func TestAnObjectThatIsTooLargeHoldsTheRelease(t *testing.T) {
	t.Parallel()
	for id, says := range map[string]string{
		web:                         "Deployment ns/web cannot be judged: it holds more than 50000 objects and lists",
		"other_web_apps_Deployment": "Deployment other/web does not exist, or lacks the labels",
	} {
		cluster := checker(t, []client.Object{applied([]string{id})}, nil)
		c := Checker{Flux: flux.Reader{Reader: cluster.Live}, Live: bombs{}}
		report, err := c.Check(t.Context(), health.Subject{Check: check("app")})
		if err != nil || report.State != v1alpha1.HealthPending || !strings.HasPrefix(report.Message, says) {
			t.Errorf("%s: %s: %q, %v", id, report.State, report.Message, err)
		}
	}
}
