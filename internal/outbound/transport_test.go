package outbound

import (
	"runtime"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// TestEqualBundlesShareAPool: a bundle that is distributed to all namespaces is in memory once, and only while it is used.
func TestEqualBundlesShareAPool(t *testing.T) {
	_, bundle := outboundtest.ServeTLS(t, outboundtest.Certificate{}, nil)
	var pools certificatePools
	usePools(t, &pools, bundle)
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		pools.mu.Lock()
		n := len(pools.pools)
		pools.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pools are left that nothing uses", n)
		}
		time.Sleep(time.Millisecond)
	}
}

func usePools(t *testing.T, pools *certificatePools, bundle string) {
	t.Helper()
	first, err := pools.get([]byte(bundle))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := pools.get([]byte(bundle)); err != nil || second != first {
		t.Errorf("an equal bundle has another pool, %v", err)
	}
	if other, err := pools.get([]byte(bundle + "\n")); err != nil || other == first {
		t.Errorf("another bundle has the same pool, %v", err)
	}
	runtime.KeepAlive(first)
}
