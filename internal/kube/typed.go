package kube

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// IndexOf is an index of the objects of one kind.
func IndexOf[T client.Object](kind T, key string, values func(T) []string) Index {
	return Index{Object: kind, Key: key, Values: func(o client.Object) []string {
		if typed, ok := o.(T); ok {
			return values(typed)
		}
		return nil
	}}
}

// MapOf enqueues what a changed object of one kind concerns.
func MapOf[T client.Object](requests func(context.Context, T) []reconcile.Request) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if typed, ok := o.(T); ok {
			return requests(ctx, typed)
		}
		return nil
	})
}

// When lets through the events of the objects that a condition holds for.
func When[T client.Object](condition func(T) bool) predicate.Predicate {
	holds := func(o client.Object) bool {
		typed, ok := o.(T)
		return ok && condition(typed)
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return holds(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return holds(e.ObjectNew) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return holds(e.Object) },
		GenericFunc: func(e event.GenericEvent) bool { return holds(e.Object) },
	}
}
