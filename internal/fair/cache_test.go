package fair_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kuberik/kuberik/internal/fair"
)

// TestCacheOfANamespaceIsKept: whatever other namespaces add, a namespace with less keeps its values.
func TestCacheOfANamespaceIsKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		total, share, attackers, size int
	}{
		"one namespace within its share":         {total: 100, share: 20, attackers: 1, size: 1},
		"one namespace, large values":            {total: 100, share: 20, attackers: 1, size: 7},
		"one namespace, values above the share":  {total: 100, share: 20, attackers: 1, size: 21},
		"one namespace whose share is the total": {total: 100, share: 100, attackers: 1, size: 1},
		"many namespaces that fill the total":    {total: 100, share: 20, attackers: 9, size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := fair.NewCache[int, string](tc.total, tc.share, nil)
			for key := range 10 {
				cache.Add("quiet", key, fmt.Sprint(key), 1)
			}
			for key := range 1000 {
				for n := range tc.attackers {
					cache.Add(fmt.Sprint("loud-", n), key, "", tc.size)
				}
			}
			for key := range 10 {
				if value, ok := cache.Get("quiet", key); !ok || value != fmt.Sprint(key) {
					t.Errorf("the value %d was evicted", key)
				}
			}
			kept := 0
			for key := range 1000 {
				for n := range tc.attackers {
					if _, ok := cache.Get(fmt.Sprint("loud-", n), key); ok {
						kept += tc.size
					}
				}
			}
			if limit := min(tc.total-10, tc.attackers*tc.share); kept > limit || kept < limit-tc.size && tc.size <= tc.share {
				t.Errorf("the other namespaces cache %d, want about %d", kept, limit)
			}
		})
	}
}

func TestCacheEvictsWhatWasNotUsed(t *testing.T) {
	t.Parallel()
	var evicted []string
	cache := fair.NewCache(5, 3, func(namespace, key string, value int) {
		evicted = append(evicted, fmt.Sprint(namespace, "/", key, "=", value))
	})
	has := func(namespace, key string) bool {
		_, ok := cache.Get(namespace, key)
		return ok
	}
	cache.Add("a", "one", 1, 1)
	cache.Add("a", "two", 2, 1)
	cache.Add("a", "three", 3, 1)
	if !has("a", "one") || has("b", "one") {
		t.Error("a value is missing, or another namespace sees it")
	}
	cache.Add("a", "four", 4, 1)
	cache.Add("a", "four", 5, 1) // which replaces it
	cache.Add("b", "one", 6, 2)
	cache.Add("b", "two", 7, 1) // 6 in total, of which each namespace has 3
	cache.Add("c", "one", 8, 1)
	cache.Remove("a", "one")
	cache.Remove("a", "one")
	cache.Remove("d", "one")
	cache.Add("e", "large", 9, 4)
	want := []string{"a/two=2", "b/one=6", "a/one=1", "e/large=9"}
	if !slices.Equal(evicted, want) {
		t.Errorf("evicted %v, want %v", evicted, want)
	}
	cache.Clear()
	for _, key := range []string{"one", "two", "three", "four"} {
		for _, namespace := range []string{"a", "b", "c"} {
			if has(namespace, key) {
				t.Errorf("%s/%s is still there", namespace, key)
			}
		}
	}
	cache.Add("a", "one", 1, 3)
	cache.Add("b", "one", 1, 2)
	if !has("a", "one") || !has("b", "one") {
		t.Error("what was removed still counts")
	}
}
