package flux

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNotifierSendsWhatAnAlertNeeds(t *testing.T) {
	t.Parallel()
	received := make(chan eventv1.Event, 1)
	failures := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures > 0 {
			failures--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var e eventv1.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		received <- e
	}))
	t.Cleanup(server.Close)
	n := NewNotifier(server.URL)
	n.backoff = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Start(ctx) }()
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	n.Notify(Event{
		Namespace: "shop", Policy: "web", Rollout: "web", Release: "web-1.2.0-0123abcd", Version: "1.2.0", Revision: "abc", Warning: true,
		Reason: "RolloutFailed", Message: "1.2.0 failed", At: at,
	})
	want := eventv1.Event{
		InvolvedObject: corev1.ObjectReference{APIVersion: "image.toolkit.fluxcd.io/v1", Kind: "ImagePolicy", Namespace: "shop", Name: "web"},
		Severity:       eventv1.EventSeverityError, Timestamp: metav1.NewTime(at), Message: "Rollout web: 1.2.0 failed", Reason: "RolloutFailed",
		ReportingController: "kuberik-controller",
		Metadata: map[string]string{
			"image.toolkit.fluxcd.io/rollout": "web", "image.toolkit.fluxcd.io/release": "web-1.2.0-0123abcd",
			"image.toolkit.fluxcd.io/version": "1.2.0", "image.toolkit.fluxcd.io/revision": "abc",
		},
	}
	if diff := cmp.Diff(want, <-received); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNotifyDoesNotBlock(t *testing.T) {
	t.Parallel()
	n := NewNotifier("http://192.0.2.1/")
	for range maxPending + 10 {
		n.Notify(Event{})
	}
	NewNotifier("").Notify(Event{})
	var none *Notifier
	none.Notify(Event{})
}

// TestNotifierSharesFairlyBetweenNamespaces: a namespace with many events must not delay or drop those of another.
func TestNotifierSharesFairlyBetweenNamespaces(t *testing.T) {
	t.Parallel()
	received := make(chan string)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e eventv1.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		select {
		case received <- e.InvolvedObject.Namespace:
		case <-t.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	n := NewNotifier(server.URL)
	for range 20 * maxPending {
		n.Notify(Event{Namespace: "flood"})
	}
	n.Notify(Event{Namespace: "other"})
	go n.Start(t.Context())
	if first, second := <-received, <-received; first != "flood" || second != "other" {
		t.Errorf("sent events of %s and %s, want flood and other", first, second)
	}
	for range maxPending - 1 {
		<-received
	}
	n.Notify(Event{Namespace: "late"})
	if next := <-received; next != "late" {
		t.Errorf("more than %d events of one namespace were pending: sent one of %s", maxPending, next)
	}
}
