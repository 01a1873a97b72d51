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

// Patience is how long a test waits for what must come. It is long, because a busy machine is no failure.
const Patience = 90 * time.Second

var (
	errGone    = errors.New("it does not exist")
	errNotOver = errors.New("the time is not over")
)

// Await watches an object until done returns nil. Obj names it, and holds it as it is each time that done is asked.
func (w *World) Await(obj client.Object, want string, done func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Patience)
	defer cancel()
	last := w.follow(ctx, obj, func(gone bool) error {
		if gone {
			return errGone
		}
		return done()
	})
	if last != nil {
		w.T.Fatalf("after %s, %T %s: %s: %v\n%s", Patience, obj, obj.GetName(), want, last, show(obj))
	}
}

// AwaitGone watches until an object does not exist.
func (w *World) AwaitGone(obj client.Object) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Patience)
	defer cancel()
	last := w.follow(ctx, obj, func(gone bool) error {
		if gone {
			return nil
		}
		return errors.New("it exists")
	})
	if last != nil {
		w.T.Fatalf("%T %s is still there after %s\n%s", obj, obj.GetName(), Patience, show(obj))
	}
}

// Throughout watches an object for a while and fails the test when holds returns an error.
func (w *World) Throughout(d time.Duration, obj client.Object, want string, holds func() error) {
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
			return errNotOver
		}
		return nil
	})
	if held == nil {
		w.T.Fatalf("%T %s: %s: %v\n%s", obj, obj.GetName(), want, broken, show(obj))
	}
}

// follow asks at every change of an object, from how it is now on, until it is told to stop (nil) or ctx ends. It returns what
// it was told last.
func (w *World) follow(ctx context.Context, obj client.Object, ask func(gone bool) error) error {
	last := errors.New("nothing was seen of it")
	for ctx.Err() == nil {
		err := w.Admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		switch {
		case apierrors.IsNotFound(err):
			last = ask(true)
		case err == nil:
			last = ask(false)
		case ctx.Err() == nil:
			last = err
		}
		if last == nil {
			return nil
		}
		if last = w.watch(ctx, obj, last, ask); last == nil {
			return nil
		}
	}
	return last
}

// watch asks at every event of one watch, and a while after the last.
func (w *World) watch(ctx context.Context, obj client.Object, last error, ask func(gone bool) error) error {
	events, err := w.open(ctx, obj)
	if err != nil {
		select { // the API server may be away
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
		return last
	}
	defer events.Stop()
	again := time.After(2 * time.Second) // a watch that opened too late is not the end
	for {
		select {
		case <-ctx.Done():
			return last
		case <-again:
			return last
		case e, ok := <-events.ResultChan():
			if !ok || e.Type == watch.Error {
				return last
			}
			if last = tell(obj, e, last, ask); last == nil {
				return nil
			}
		}
	}
}

// tell asks about one event.
func tell(obj client.Object, e watch.Event, last error, ask func(gone bool) error) error {
	switch {
	case e.Type == watch.Deleted:
		return ask(true)
	case set(obj, e.Object):
		return ask(false)
	}
	return last
}

func (w *World) open(ctx context.Context, obj client.Object) (watch.Interface, error) {
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
		return nil, fmt.Errorf("%T is no list", empty)
	}
	return w.Admin.Watch(ctx, list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{"metadata.name": obj.GetName()})
}

func set(obj client.Object, seen any) bool {
	to, from := reflect.ValueOf(obj), reflect.ValueOf(seen)
	if to.Type() != from.Type() {
		return false
	}
	to.Elem().Set(from.Elem())
	return true
}

// Eventually asks again and again until done returns nil, for what cannot be watched.
func (w *World) Eventually(want string, done func() error) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.Ctx(), Patience)
	defer cancel()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			w.T.Fatalf("after %s: %s: %v", Patience, want, err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func show(obj client.Object) string {
	obj.SetManagedFields(nil)
	text, err := yaml.Marshal(obj)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
