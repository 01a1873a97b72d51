package environment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Of is what an Environment says of itself: the history of its Rollout. Entries without an id are left out; nothing could name them.
func Of(e *environments.Environment, ro *v1alpha1.Rollout) State {
	s := State{Application: Application(e.Spec.Name), Environment: e.Spec.Environment, After: after(e.Spec)}
	s.Parallel = e.Spec.Relationship != nil && e.Spec.Relationship.Type == environments.Parallel
	for _, i := range e.Status.EnvironmentInfos {
		if i.Environment == s.Environment {
			s.URL = i.EnvironmentURL
		}
	}
	for i := range ro.Status.History {
		if h := &ro.Status.History[i]; h.ID != nil {
			s.Deployments = append(s.Deployments, deployment(ro, h))
		}
	}
	return s
}

// after lists the environments that come before one, each once.
func after(spec environments.EnvironmentSpec) []string {
	var list []string
	if spec.Relationship != nil {
		list = append(list, spec.Relationship.Environment)
	}
	for _, d := range spec.DependsOn {
		if !slices.Contains(list, d.Environment) {
			list = append(list, d.Environment)
		}
	}
	return list
}

func deployment(ro *v1alpha1.Rollout, h *v1alpha1.DeploymentHistoryEntry) Deployment {
	d := Deployment{
		Key: fmt.Sprintf("%s/%d", ro.UID, *h.ID), ID: *h.ID, Version: h.Version, Message: text(h.Message),
		State: v1alpha1.BakeStatus(text(h.BakeStatus)), StateMessage: text(h.BakeStatusMessage), At: h.Timestamp.Time,
		Attempt: when(h.LastRetryTimestamp), Order: 1 + version.Index(ro.Status.AvailableReleases, version.Identity(h.Version)),
	}
	if d.State == v1alpha1.BakeSucceeded {
		d.AvailableSince = when(h.BakeEndTime)
	}
	for _, q := range ro.Status.Quarantined {
		if version.Same(q.ReleaseIdentity, version.Identity(h.Version)) {
			d.Quarantine = q.Reason
		}
	}
	return d
}

// Application is the name that environments share. The published controller of GitHub puts a prefix before it where there is none; with it or
// without it is the same application.
func Application(name string) string {
	const prefix = "kuberik/"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):]
	}
	return name
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func when(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

const (
	// usual and shortest are how often an outside backend is asked for news.
	usual    = time.Minute
	shortest = 10 * time.Second
)

// Interval after which an outside backend is asked for news.
func Interval(spec environments.EnvironmentSpec) (time.Duration, error) {
	if spec.RequeueInterval == nil {
		return usual, nil
	}
	d, err := time.ParseDuration(*spec.RequeueInterval)
	return max(d, shortest), err
}

// longestURL is how long a URL may be that others are shown.
const longestURL = 2048

// SafeURL is a URL as others may be shown it: of the web, and of a sensible length; else nothing.
func SafeURL(raw string) string {
	web := strings.HasPrefix(raw, "https://") || strings.HasPrefix(raw, "http://")
	if !web || len(raw) > longestURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return raw
}
