package port_test

import (
	"testing"

	"github.com/kuberik/kuberik/internal/devplane/port"
)

func TestTwoPoolsNeverShareAPort(t *testing.T) {
	var one, two port.Pool
	defer one.Release()
	defer two.Release()
	seen := map[int]bool{}
	for range 50 {
		for _, p := range []*port.Pool{&one, &two} {
			n, err := p.Take()
			if err != nil {
				t.Fatal(err)
			}
			if seen[n] {
				t.Fatalf("port %d was given out twice", n)
			}
			seen[n] = true
		}
	}
}
