package flux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/internal/fair"
)

const (
	// maxPending is how many events of a namespace may be pending. Further ones are dropped.
	maxPending = 100
	// maxAttempts is how often an event is sent. The pause after the first attempt is firstBackoff, and doubles.
	maxAttempts    = 4
	firstBackoff   = time.Second
	requestTimeout = 10 * time.Second
)

// reporter is the reporting controller of every event.
const reporter = "kuberik-controller"

// Event is an event about a Rollout that Flux forwards to the providers of matching Alerts.
type Event struct {
	// Namespace and name of the ImagePolicy of the Rollout. It is the involved object, because the event sources of an
	// Alert can only be of Flux's own kinds.
	Namespace, Policy string
	// Rollout, and the Release that the event is about, if any.
	Rollout, Release string
	// Version and Revision of the release.
	Version, Revision string
	// Warning sets the severity to error instead of info.
	Warning bool
	// Reason in CamelCase, and Message in plain text.
	Reason, Message string
	// At is when it happened.
	At time.Time
}

// Notifier sends events to Flux's notification-controller. Events of a namespace keep their order, and namespaces take
// turns. Notify never blocks: an event that cannot be sent after a few attempts is logged and dropped.
type Notifier struct {
	address string
	client  *http.Client
	events  *fair.Lanes[Event]
	// added is signalled when an event is added.
	added   chan struct{}
	backoff time.Duration
}

// NewNotifier returns a Notifier for an address such as
// http://notification-controller.flux-system.svc.cluster.local./. Without an address it drops all events.
func NewNotifier(address string) *Notifier {
	return &Notifier{
		address: address, client: &http.Client{Timeout: requestTimeout}, backoff: firstBackoff,
		events: fair.New(1, func(e Event) string { return e.Namespace }), added: make(chan struct{}, 1),
	}
}

// Notify queues an event.
func (n *Notifier) Notify(e Event) {
	if n == nil || n.address == "" {
		return
	}
	if n.events.Waiting(e) >= maxPending {
		log.Log.Info("dropping an event: too many events of the namespace are pending",
			"rollout", e.Namespace+"/"+e.Rollout, "reason", e.Reason)
		return
	}
	n.events.Push(e)
	select {
	case n.added <- struct{}{}:
	default:
	}
}

// Start sends events until the context is cancelled.
func (n *Notifier) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.added:
		}
		for ctx.Err() == nil && n.events.Len() > 0 {
			e := n.events.Pop()
			if err := n.send(ctx, e); err != nil {
				log.FromContext(ctx).Error(err, "cannot send an event to Flux's notification-controller",
					"rollout", e.Namespace+"/"+e.Rollout, "reason", e.Reason)
			}
			n.events.Done(e)
		}
	}
}

func (n *Notifier) send(ctx context.Context, e Event) error {
	body, err := json.Marshal(e.toFlux())
	if err != nil {
		return err
	}
	wait := n.backoff
	for i := range maxAttempts {
		if i > 0 {
			select {
			case <-ctx.Done():
				return err
			case <-time.After(wait):
				wait *= 2
			}
		}
		if err = n.post(ctx, body); err == nil {
			return nil
		}
	}
	return err
}

func (n *Notifier) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := n.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	duplicate := resp.StatusCode == http.StatusTooManyRequests // it answers a repeated event with this status
	if resp.StatusCode >= http.StatusMultipleChoices && !duplicate {
		return fmt.Errorf("notification-controller returned %s", resp.Status)
	}
	return nil
}

// toFlux returns the event as Flux's controllers send it. Alerts show metadata whose key is prefixed with the API
// group of the involved object.
func (e Event) toFlux() eventv1.Event {
	severity := eventv1.EventSeverityInfo
	if e.Warning {
		severity = eventv1.EventSeverityError
	}
	const group = "image.toolkit.fluxcd.io"
	metadata := map[string]string{}
	for key, value := range map[string]string{
		"rollout": e.Rollout, "release": e.Release, "version": e.Version, eventv1.MetaRevisionKey: e.Revision,
	} {
		if value != "" {
			metadata[group+"/"+key] = value
		}
	}
	return eventv1.Event{
		InvolvedObject: corev1.ObjectReference{
			APIVersion: group + "/v1", Kind: "ImagePolicy", Namespace: e.Namespace, Name: e.Policy,
		},
		Severity: severity, Timestamp: metav1.NewTime(e.At), Reason: e.Reason,
		Message: "Rollout " + e.Rollout + ": " + e.Message, Metadata: metadata, ReportingController: reporter,
	}
}
