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
	// waiting is how many events of one namespace wait at the most; those that come then are lost.
	waiting = 100
	// attempts and the pause after the first; the next is twice as long.
	attempts = 4
	pause    = time.Second
	patience = 10 * time.Second
)

// reporter is the name that events carry.
const reporter = "kuberik-controller"

// Event is something that Flux may tell people.
type Event struct {
	// Namespace of the ImagePolicy, and its name: an Alert names sources of Flux's own kinds only, and the releases of a Rollout are
	// those of its ImagePolicy.
	Namespace, Policy string
	// Rollout, and the Release that it is about if there is one.
	Rollout, Release string
	// Version and Revision of that release.
	Version, Revision string
	// Warning says that something went wrong.
	Warning bool
	// Reason in one word, and Message for people.
	Reason, Message string
	// At is when it happened.
	At time.Time
}

// Notifier hands events to Flux's notification-controller: those of a namespace in the order in which they come, and those of several
// namespaces in turns. It never holds up who tells them: what cannot be handed over after some attempts is lost, and logged.
type Notifier struct {
	address string
	client  *http.Client
	events  *fair.Lanes[Event]
	// told is signalled when there is another event.
	told  chan struct{}
	pause time.Duration
}

// NewNotifier makes a Notifier for an address such as http://notification-controller.flux-system.svc.cluster.local./. Without one it
// drops every event.
func NewNotifier(address string) *Notifier {
	return &Notifier{
		address: address, client: &http.Client{Timeout: patience}, pause: pause,
		events: fair.New(1, func(e Event) string { return e.Namespace }), told: make(chan struct{}, 1),
	}
}

// Tell hands an event over, some time.
func (n *Notifier) Tell(e Event) {
	if n == nil || n.address == "" {
		return
	}
	if n.events.Waiting(e) >= waiting {
		log.Log.Info("too many events of the namespace wait for Flux; one is lost", "rollout", e.Namespace+"/"+e.Rollout, "reason", e.Reason)
		return
	}
	n.events.Push(e)
	select {
	case n.told <- struct{}{}:
	default:
	}
}

// Start hands events over until the context ends.
func (n *Notifier) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.told:
		}
		for ctx.Err() == nil && n.events.Len() > 0 {
			e := n.events.Pop()
			if err := n.deliver(ctx, e); err != nil {
				log.FromContext(ctx).Error(err, "an event could not be handed to Flux", "rollout", e.Namespace+"/"+e.Rollout, "reason", e.Reason)
			}
			n.events.Done(e)
		}
	}
}

func (n *Notifier) deliver(ctx context.Context, e Event) error {
	body, err := json.Marshal(e.flux())
	if err != nil {
		return err
	}
	wait := n.pause
	for i := range attempts {
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
	seen := resp.StatusCode == http.StatusTooManyRequests // that is what it says to an event that it has seen already
	if resp.StatusCode >= http.StatusMultipleChoices && !seen {
		return fmt.Errorf("the notification-controller answered %s", resp.Status)
	}
	return nil
}

// flux words an event as Flux's own controllers do. What is in the metadata under the group of the kind is shown with the alert.
func (e Event) flux() eventv1.Event {
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
		Severity: severity, Timestamp: metav1.NewTime(e.At), Message: "Rollout " + e.Rollout + ": " + e.Message, Reason: e.Reason,
		Metadata: metadata, ReportingController: reporter,
	}
}
