package kube

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// IndexOf returns an index of the objects of a kind.
func IndexOf[T client.Object](kind T, key string, values func(T) []string) Index {
	return Index{Object: kind, Key: key, Values: func(o client.Object) []string {
		if typed, ok := o.(T); ok {
			return values(typed)
		}
		return nil
	}}
}

// EnqueueRequests returns an event handler that enqueues the requests for an object of a kind.
func EnqueueRequests[T client.Object](requests func(context.Context, T) []reconcile.Request) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if typed, ok := o.(T); ok {
			return requests(ctx, typed)
		}
		return nil
	})
}

// ObjectsMatching returns a predicate that accepts the events of objects that match a condition.
func ObjectsMatching[T client.Object](condition func(T) bool) predicate.Predicate {
	matches := func(o client.Object) bool {
		typed, ok := o.(T)
		return ok && condition(typed)
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return matches(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return matches(e.ObjectNew) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return matches(e.Object) },
		GenericFunc: func(e event.GenericEvent) bool { return matches(e.Object) },
	}
}
