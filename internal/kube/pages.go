package kube

import (
	"context"
	"iter"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pages lists objects in pages of at most size, so that only one page at a time is in memory whole. It ends after the first
// error. The reader has to be the API server: a cache ignores what comes after the first page.
func Pages[T any, L interface {
	*T
	client.ObjectList
}](ctx context.Context, server client.Reader, size int64, opts ...client.ListOption) iter.Seq2[L, error] {
	return func(yield func(L, error) bool) {
		for token := ""; ; {
			list := L(new(T)) // the caller may keep the page before
			if err := server.List(ctx, list, append(slices.Clone(opts), client.Limit(size), client.Continue(token))...); err != nil {
				yield(nil, err)
				return
			}
			if token = list.GetContinue(); !yield(list, nil) || token == "" {
				return
			}
		}
	}
}
