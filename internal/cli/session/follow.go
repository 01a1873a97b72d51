package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/cli/exit"
)

const (
	// gather is how long changes are gathered, so that one write to several objects is shown once.
	gather = 50 * time.Millisecond
	// retryWatch is the pause before a lost connection is tried again.
	retryWatch = time.Second
)

// follower watches objects of several kinds.
type follower struct {
	*Session
	c         client.WithWatch
	namespace string
	changed   chan struct{}

	mu   sync.Mutex
	lost bool
}

// Follow calls render at once, and again whenever an object of one of the kinds changes in the namespace or tick is
// over, until ctx ends or render returns an error or done. A tick of 0 is none. A lost connection is resumed. Kinds
// that the user may not watch are left out.
func (s *Session) Follow(ctx context.Context, namespace string, kinds []client.ObjectList, tick time.Duration,
	render func() (done bool, err error)) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	f := &follower{Session: s, c: c, namespace: namespace, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer cancel()
	for _, kind := range kinds {
		watchers.Go(func() { f.keepWatching(ctx, kind) })
	}
	for {
		if done, err := render(); done || err != nil && !f.isOutage(ctx, err) {
			return err
		}
		if err := f.next(ctx, tick); err != nil {
			return err
		}
	}
}

// isOutage reports whether an error is a connection that will come back, and says so once.
func (f *follower) isOutage(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !retryable(err) {
		return false
	}
	f.say(true)
	go func() { // render again although nothing may change
		select {
		case <-time.After(retryWatch):
			f.signal()
		case <-ctx.Done():
		}
	}()
	return true
}

// retryable reports whether an error may pass by itself. An answer of the API server does not, unless it is overloaded.
func retryable(err error) bool {
	var status apierrors.APIStatus
	var final *exit.Error
	if errors.As(err, &final) {
		return false
	}
	if !errors.As(err, &status) {
		return true
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err)
}

func (*follower) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next waits for a change or the tick, and then a little longer for more changes.
func (f *follower) next(ctx context.Context, tick time.Duration) error {
	var over <-chan time.Time
	if tick > 0 {
		timer := time.NewTimer(tick)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return nil
	case <-f.changed:
		return f.wait(ctx, gather)
	}
}

func (f *follower) signal() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// say reports that the connection was lost, or that it is back, once each.
func (f *follower) say(lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost == lost {
		return
	}
	f.lost = lost
	text := "the connection to the API server is back"
	if lost {
		text = "the connection to the API server was lost; trying again"
	}
	// Nothing can be done about a closed error output.
	_ = f.Remark(f.Program + ": " + text) //nolint:errcheck // see above
}

// keepWatching signals every change of a kind, until ctx ends or the user may not watch it.
func (f *follower) keepWatching(ctx context.Context, kind client.ObjectList) {
	for ctx.Err() == nil {
		err := f.watch(ctx, kind)
		switch {
		case ctx.Err() != nil, apierrors.IsForbidden(err), isKindMissing(err):
			return
		case err != nil && retryable(err):
			f.say(true)
		}
		if f.wait(ctx, retryWatch) != nil {
			return
		}
	}
}

// watch signals the changes of a kind until the watch ends.
func (f *follower) watch(ctx context.Context, kind client.ObjectList) error {
	list, ok := kind.DeepCopyObject().(client.ObjectList)
	if !ok {
		return fmt.Errorf("%T is no list", kind)
	}
	if err := f.c.List(ctx, list, client.InNamespace(f.namespace), client.Limit(1)); err != nil {
		return err
	}
	events, err := f.c.Watch(ctx, list, client.InNamespace(f.namespace), resourceVersion(list.GetResourceVersion()))
	if err != nil {
		return err
	}
	defer events.Stop()
	f.say(false)
	f.signal() // something may have changed while nothing was watched
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-events.ResultChan():
			if !open || e.Type == watch.Error {
				return nil
			}
			f.signal()
		}
	}
}

// resourceVersion starts a watch where a list ended.
type resourceVersion string

func (r resourceVersion) ApplyToList(o *client.ListOptions) {
	o.Raw = &metav1.ListOptions{ResourceVersion: string(r)}
}
