package remote_test

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

// testPool is a pool whose projects take 1 MiB each.
type testPool struct {
	*remote.Pool[string, *testProject]
	clock   *clocktesting.FakePassiveClock
	created int
}

type testProject struct{ charge func(bytes int) }

func newTestPool() *testPool {
	clock := clocktesting.NewFakePassiveClock(time.Unix(1e9, 0))
	return &testPool{
		clock: clock,
		Pool: remote.NewPool[string, *testProject](
			remote.PoolOptions{Memory: 16 << 20, MemoryOfNamespace: 4 << 20, Clock: clock}),
	}
}

// use returns the project of a namespace and a token.
func (p *testPool) use(t *testing.T, namespace, token string) *testProject {
	t.Helper()
	project, err := p.Project(
		remote.Options{Namespace: namespace, URL: "https://hub.example.com/", Project: "shop"}, token,
		func(key string) (string, error) { return key, nil },
		func(_ string, charge func(int)) (*testProject, error) {
			p.created++
			return &testProject{charge}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestChangedCredentialsFillNoMemory: a namespace that changes its credentials again and again takes no more than its share,
// and displaces nothing of another one.
func TestChangedCredentialsFillNoMemory(t *testing.T) {
	t.Parallel()
	p := newTestPool()
	quiet := p.use(t, "quiet", "token")
	quiet.charge(1 << 20)
	const n = 1000
	for i := range n {
		p.use(t, "loud", fmt.Sprint(i)).charge(1 << 20)
	}
	if p.use(t, "quiet", "token") != quiet {
		t.Error("the project of another namespace was dropped")
	}
	p.created = 0
	for i := range n {
		p.use(t, "loud", fmt.Sprint(n-1-i))
	}
	if kept := n - p.created; kept < 3 || kept > 4 {
		t.Errorf("%d projects of 1 MiB were kept, but the share is 4 MiB", kept)
	}
}

// TestManyNamespacesFillTheTotalOnly: the largest namespaces lose projects, not the smallest.
func TestManyNamespacesFillTheTotalOnly(t *testing.T) {
	t.Parallel()
	p := newTestPool()
	quiet := p.use(t, "quiet", "token")
	quiet.charge(1 << 20)
	const n = 10
	for i := range 4 {
		for ns := range n {
			p.use(t, fmt.Sprint("loud-", ns), fmt.Sprint(ns, "/", i)).charge(1 << 20)
		}
	}
	if p.use(t, "quiet", "token") != quiet {
		t.Error("the project of the smallest namespace was dropped")
	}
	p.created = 0
	for i := range 4 {
		for ns := range n {
			p.use(t, fmt.Sprint("loud-", ns), fmt.Sprint(ns, "/", 3-i))
		}
	}
	if kept := 4*n - p.created; kept > 15 {
		t.Errorf("%d projects of 1 MiB were kept, but the total is 16 MiB", kept)
	}
}

// TestNamespacesShareAProject: it stays as long as one of them uses it.
func TestNamespacesShareAProject(t *testing.T) {
	t.Parallel()
	p := newTestPool()
	shared := p.use(t, "quiet", "token")
	if p.use(t, "loud", "token") != shared {
		t.Fatal("two namespaces with the same credentials have different projects")
	}
	shared.charge(1 << 20)
	for i := range 10 {
		p.use(t, "loud", fmt.Sprint(i)).charge(1 << 20)
	}
	if p.use(t, "loud", "token") != shared || p.use(t, "quiet", "token") != shared {
		t.Error("the project was dropped although a namespace uses it")
	}
}

// TestDroppedProjectIsNotCharged: what still works with a dropped project does not displace its successor.
func TestDroppedProjectIsNotCharged(t *testing.T) {
	t.Parallel()
	p := newTestPool()
	old := p.use(t, "shop", "token")
	p.clock.SetTime(p.clock.Now().Add(3 * time.Hour))
	next := p.use(t, "shop", "token")
	if next == old {
		t.Fatal("a project that was not used for three hours is still there")
	}
	old.charge(1 << 30)
	if p.use(t, "shop", "token") != next {
		t.Error("the size of the dropped project counts for the new one")
	}
}

// TestProjectAboveTheShare: it is used once and not kept.
func TestProjectAboveTheShare(t *testing.T) {
	t.Parallel()
	p := newTestPool()
	small, large := p.use(t, "shop", "small"), p.use(t, "shop", "large")
	small.charge(1 << 20)
	large.charge(5 << 20)
	if p.use(t, "shop", "large") == large {
		t.Error("a project of 5 MiB was kept, but the share is 4 MiB")
	}
	_ = small
}
