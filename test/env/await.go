package env

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

// Timeout limits how long a test waits. It is long, because a busy machine must not fail a test.
const Timeout = 90 * time.Second

var (
	errGone        = errors.New("it does not exist")
	errTimeNotOver = errors.New("the time has not passed")
)

// Await watches an object until done returns nil. It stores each version of the object in obj before it calls done.
func (w *World) Await(obj client.Object, want string, done func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Timeout)
	defer cancel()
	last := w.follow(ctx, obj, func(gone bool) error {
		if gone {
			return errGone
		}
		return done()
	})
	if last != nil {
		w.T.Fatalf("after %s, %T %s: %s: %v\n%s", Timeout, obj, obj.GetName(), want, last, toYAML(obj))
	}
}

// AwaitGone watches an object until it does not exist.
func (w *World) AwaitGone(obj client.Object) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Timeout)
	defer cancel()
	last := w.follow(ctx, obj, func(gone bool) error {
		if gone {
			return nil
		}
		return errors.New("it still exists")
	})
	if last != nil {
		w.T.Fatalf("%T %s still exists after %s\n%s", obj, obj.GetName(), Timeout, toYAML(obj))
	}
}

// Consistently watches an object for a time. It fails the test if holds returns an error.
func (w *World) Consistently(d time.Duration, obj client.Object, want string, holds func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), d)
	defer cancel()
	var broken error
	held := w.follow(ctx, obj, func(gone bool) error {
		broken = errGone
		if !gone {
			broken = holds()
		}
		if broken == nil {
			return errTimeNotOver
		}
		return nil
	})
	if held == nil {
		w.T.Fatalf("%T %s: %s: %v\n%s", obj, obj.GetName(), want, broken, toYAML(obj))
	}
}

// follow calls check for the current version of an object and for each change, until check returns nil or ctx ends.
// It returns the last error.
func (w *World) follow(ctx context.Context, obj client.Object, check func(gone bool) error) error {
	last := errors.New("the object was not read")
	for ctx.Err() == nil {
		err := w.Admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		switch {
		case apierrors.IsNotFound(err):
			last = check(true)
		case err == nil:
			last = check(false)
		case ctx.Err() == nil:
			last = err
		}
		if last == nil {
			return nil
		}
		if last = w.watch(ctx, obj, last, check); last == nil {
			return nil
		}
	}
	return last
}

// watch calls check for each event of one watch. It returns after a while, so that a missed event is not lost.
func (w *World) watch(ctx context.Context, obj client.Object, last error, check func(gone bool) error) error {
	events, err := w.openWatch(ctx, obj)
	if err != nil {
		select { // the API server may be unavailable
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
		return last
	}
	defer events.Stop()
	reread := time.After(2 * time.Second) // the watch may have missed an event
	for {
		select {
		case <-ctx.Done():
			return last
		case <-reread:
			return last
		case e, ok := <-events.ResultChan():
			if !ok || e.Type == watch.Error {
				return last
			}
			if last = handleEvent(obj, e, last, check); last == nil {
				return nil
			}
		}
	}
}

// handleEvent calls check for one event.
func handleEvent(obj client.Object, e watch.Event, last error, check func(gone bool) error) error {
	switch {
	case e.Type == watch.Deleted:
		return check(true)
	case copyInto(obj, e.Object):
		return check(false)
	}
	return last
}

func (w *World) openWatch(ctx context.Context, obj client.Object) (watch.Interface, error) {
	gvk, err := apiutil.GVKForObject(obj, w.Admin.Scheme())
	if err != nil {
		return nil, err
	}
	gvk.Kind += "List"
	empty, err := w.Admin.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	list, ok := empty.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%T is not a list", empty)
	}
	return w.Admin.Watch(
		ctx, list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{"metadata.name": obj.GetName()},
	)
}

// copyInto sets obj to the object of a watch event. It returns false if the types differ.
func copyInto(obj client.Object, seen any) bool {
	to, from := reflect.ValueOf(obj), reflect.ValueOf(seen)
	if to.Type() != from.Type() {
		return false
	}
	to.Elem().Set(from.Elem())
	return true
}

// Eventually calls done until it returns nil. It is for conditions that cannot be watched.
func (w *World) Eventually(want string, done func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Timeout)
	defer cancel()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.T.Fatalf("after %s: %s: %v", Timeout, want, err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func toYAML(obj client.Object) string {
	obj.SetManagedFields(nil)
	text, err := yaml.Marshal(obj)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
