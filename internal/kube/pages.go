package kube

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pages lists objects in pages of at most size, so that only one page at a time is in memory whole. It ends after the
// first error. The reader has to be the API server: a cache ignores what comes after the first page.
func Pages[T any, L interface {
	*T
	client.ObjectList
}](ctx context.Context, server client.Reader, size int64, opts ...client.ListOption) iter.Seq2[L, error] {
	return func(yield func(L, error) bool) {
		for token := ""; ; {
			list := L(new(T)) // the caller may keep the page before
			if err := server.List(ctx, list,
				append(slices.Clone(opts), client.Limit(size), client.Continue(token))...); err != nil {
				yield(nil, err)
				return
			}
			if token = list.GetContinue(); !yield(list, nil) || token == "" {
				return
			}
		}
	}
}

// informerPage is the number of objects that an informer lists at once. An object may have 1.5 MiB, and several times
// that in memory.
const informerPage = 20

// NewInformer is the type of the function that creates the informers of a cache.
type NewInformer = func(
	toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers,
) toolscache.SharedIndexInformer

// PagedInformers returns a function that creates informers. If an informer lists objects, it does so in pages, and
// transforms each page before the next one is read, so that only one page of all informers is in memory whole. Without
// this, the whole list is. Informers list objects only if the API server cannot stream them, as before Kubernetes 1.34.
// Transform returns the transform of a kind.
func PagedInformers(transform func(kind runtime.Object) toolscache.TransformFunc) NewInformer {
	var onePage sync.Mutex
	return func(
		lw toolscache.ListerWatcher, kind runtime.Object, resync time.Duration, indexers toolscache.Indexers,
	) toolscache.SharedIndexInformer {
		server := toolscache.ToListerWatcherWithContext(lw)
		lister := &pagedLister{list: server.ListWithContext, transform: transform(kind), onePage: &onePage}
		return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{
			ListWithContextFunc: lister.listAll, WatchFuncWithContext: server.WatchWithContext,
		}, kind, resync, indexers)
	}
}

// pagedLister lists objects in pages and transforms them.
type pagedLister struct {
	list      func(context.Context, metav1.ListOptions) (runtime.Object, error)
	transform toolscache.TransformFunc
	// onePage is held while a page is in memory whole.
	onePage *sync.Mutex
}

// listAll lists all objects, as they are now. The API server returns pages only without a resource version.
func (l *pagedLister) listAll(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit, o.Continue = "", "", informerPage, ""
	var items []runtime.Object
	for {
		page, err := l.page(ctx, o, &items)
		if err != nil {
			return nil, err
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		if o.Continue = list.GetContinue(); o.Continue == "" {
			list.SetRemainingItemCount(nil)
			return page, meta.SetList(page, items)
		}
	}
}

// page reads a page and adds its transformed objects to items.
func (l *pagedLister) page(
	ctx context.Context, o metav1.ListOptions, items *[]runtime.Object,
) (runtime.Object, error) {
	l.onePage.Lock()
	defer l.onePage.Unlock()
	page, err := l.list(ctx, o)
	if err != nil {
		return nil, err
	}
	return page, meta.EachListItem(page, func(o runtime.Object) error {
		transformed, err := l.transform(o)
		if err != nil {
			return err
		}
		kept, ok := transformed.(runtime.Object)
		if !ok {
			return fmt.Errorf("an object was transformed to %T", transformed)
		}
		*items = append(*items, kept)
		return nil
	})
}
