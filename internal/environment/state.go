package environment

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Of returns the state of an Environment, from the history of its Rollout. Entries without an ID are omitted: nothing could refer to them.
// Nothing is read from the status of the Environment, because a tenant may be able to write it. The URL is left to the controller.
func Of(e *environments.Environment, ro *v1alpha1.Rollout) State {
	s := State{Application: Application(e.Spec.Name), Environment: e.Spec.Environment, After: after(e.Spec)}
	s.Parallel = e.Spec.Relationship != nil && e.Spec.Relationship.Type == environments.Parallel
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
		if version.Matches(q.ReleaseIdentity, version.Identity(h.Version)) {
			d.Quarantine = q.Reason
		}
	}
	return d
}

// Application returns the name that environments share, without the prefix that the public controller for GitHub adds.
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
	defaultInterval = time.Minute
	minInterval     = 10 * time.Second
)

// Interval returns how often an outside backend is read. It defaults to 1m and is at least 10s.
func Interval(spec environments.EnvironmentSpec) (time.Duration, error) {
	if spec.RequeueInterval == nil {
		return defaultInterval, nil
	}
	d, err := time.ParseDuration(*spec.RequeueInterval)
	return max(d, minInterval), err
}

// maxURL bounds a URL that is shown, in bytes.
const maxURL = 2048

// SafeURL returns a URL that may be shown, or "": it is that of a web page, not too long, and without blanks and control characters.
func SafeURL(raw string) string {
	web := strings.HasPrefix(raw, "https://") || strings.HasPrefix(raw, "http://")
	if !web || len(raw) > maxURL || strings.ContainsFunc(raw, unicode.IsSpace) || version.Clean(raw, maxURL) != raw {
		return ""
	}
	return raw
}
