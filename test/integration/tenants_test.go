package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// tarpit accepts connections and never responds. It counts the open ones.
type tarpit struct {
	net.Listener
	mu         sync.Mutex
	open, most int
}

func newTarpit(t *testing.T) *tarpit {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tarpit{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.count(1)
			go func() {
				io.Copy(io.Discard, conn)
				conn.Close()
				p.count(-1)
			}()
		}
	}()
	return p
}

func (p *tarpit) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += n
	p.most = max(p.most, p.open)
}

// counts returns how many connections are open, and the most that were open at the same time.
func (p *tarpit) counts() (open, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.most
}

func (p *tarpit) request() v1alpha1.HTTPRequest {
	return v1alpha1.HTTPRequest{URL: "http://" + p.Addr().String()}
}

// Shares of one namespace, as in docs/guides/tenants.md.
const (
	shareOfProbes = 32
	shareOfGates  = 8
	shareOfReads  = 4
)

// besiege uses up the share of a namespace for everything that sends requests.
func besiege(w *env.World, probes, gates, reads *tarpit) {
	w.T.Helper()
	forever, often, most := v1alpha1.Duration("5m"), v1alpha1.Duration("1s"), int32(10)
	for i := range 300 {
		check := &v1alpha1.HealthCheck{ObjectMeta: w.Meta(fmt.Sprint("check-", i))}
		check.Spec.Class, check.Spec.Interval, check.Spec.Timeout = new(v1alpha1.HealthClassHTTP), &often, &forever
		check.Spec.HTTP = &v1alpha1.HTTPCheck{HTTPRequest: probes.request()}
		w.Create(check)
	}
	repository(w, "evil", reads.Addr().String()+"/evil", "")
	w.Policy("evil", "1.0.0")
	for i := range 12 {
		name := fmt.Sprint("evil-", i)
		for n := range 7 {
			w.Gate(fmt.Sprint(name, "-", n), name, func(s *v1alpha1.RolloutGateSpec) {
				s.HTTP = &v1alpha1.HTTPGate{HTTPRequest: gates.request(), Interval: &often, Timeout: &forever, Retries: &most}
			})
		}
		w.Rollout(name, func(ro *v1alpha1.Rollout) { ro.Spec.ReleasesImagePolicy.Name = "evil" })
	}
	w.Eventually("the attack is under way", func() error {
		for what, p := range map[string]*tarpit{"probes": probes, "gates": gates, "reads": reads} {
			if open, _ := p.counts(); open == 0 {
				return errors.New("nothing waits for " + what)
			}
		}
		if open, _ := probes.counts(); open < shareOfProbes {
			return fmt.Errorf("%d probes wait", open)
		}
		return nil
	})
}

// TestOneNamespaceStarvesNoOther: in one namespace everything waits for servers that never respond. In another,
// releases are deployed as usual, with a check, a gate and image details.
func TestOneNamespaceStarvesNoOther(t *testing.T) {
	t.Parallel()
	w, attacker := env.New(t), env.New(t)
	w.Run(local, func(s *controller.Settings) { s.Namespaces = []string{w.Namespace, attacker.Namespace} })
	w.SimulateFlux()
	o, host := newCheckServer(t), serve(t)
	repository(w, "app", host+"/app", "pull")
	w.Create(pullSecret(host, password))
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "")
	w.Gate("api", "app", o.gate)
	often := v1alpha1.Duration("1s")
	check := &v1alpha1.HealthCheck{ObjectMeta: w.Meta("probe")}
	check.Labels = map[string]string{"app": "app"}
	check.Spec.Class, check.Spec.Interval = new(v1alpha1.HealthClassHTTP), &often
	check.Spec.HTTP = &v1alpha1.HTTPCheck{HTTPRequest: v1alpha1.HTTPRequest{URL: o.URL + "/healthy"}, ExpectedStatus: []string{"403"}}
	w.Create(check)
	ro := w.Rollout("app", env.WithHealthChecks, env.Bake("1s", "1m"))
	release := func(tag string) time.Duration {
		start := time.Now()
		digest := push(t, host+"/app:"+tag, map[string]string{"org.opencontainers.image.revision": tag})
		o.allow("/may", digest)
		w.Select("app", tag, digest)
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
		rel := &v1alpha1.Release{ObjectMeta: w.Meta("app-" + tag + "-" + digest[7:15])}
		w.Await(rel, "has details", func() error {
			if rel.Status.Details == nil || rel.Status.Details.Revision != tag {
				return fmt.Errorf("they are %+v", rel.Status.Details)
			}
			return nil
		})
		return time.Since(start)
	}
	release("0.9.0") // which waits until the Rollout has settled
	var before, during time.Duration
	for i := range 3 {
		before += release(fmt.Sprint("1.0.", i))
	}
	probes, gates, reads := newTarpit(t), newTarpit(t), newTarpit(t)
	besiege(attacker, probes, gates, reads)
	for i := range 3 {
		during += release(fmt.Sprint("1.1.", i))
	}
	t.Logf("a release took %s before the attack and %s during it: %.2f times as long", before/3, during/3, float64(during)/float64(before))

	const ways = 2 // a registry that may be insecure is asked with TLS and without
	for what, c := range map[string]struct {
		*tarpit
		share int
	}{"probes": {probes, shareOfProbes}, "gates": {gates, shareOfGates}, "reads": {reads, ways * shareOfReads}} {
		if _, most := c.counts(); most > c.share {
			t.Errorf("%d connections for %s of one namespace waited at once, its share is %d", most, what, c.share)
		}
	}

	t.Run("deleted objects send no requests", func(t *testing.T) {
		if err := w.Admin.DeleteAllOf(t.Context(), &v1alpha1.HealthCheck{}, client.InNamespace(attacker.Namespace)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		w.Eventually("no probe is open", func() error {
			if open, _ := probes.counts(); open > 0 {
				return fmt.Errorf("%d are", open)
			}
			return nil
		})
		t.Logf("the probes ended after %s", time.Since(start))
	})
}
