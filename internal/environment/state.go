package environment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// StateOf returns the state of an Environment, from the history of its Rollout, without the URL. It omits entries
// without an ID, which cannot be identified. It does not use the status of the Environment, because a tenant may be
// able to write it.
func StateOf(e *environments.Environment, ro *v1alpha1.Rollout) State {
	s := State{Application: Application(e.Spec.Name), Environment: e.Spec.Environment, After: after(e.Spec)}
	s.Parallel = e.Spec.Relationship != nil && e.Spec.Relationship.Type == environments.Parallel
	for i := range ro.Status.History {
		if h := &ro.Status.History[i]; h.ID != nil {
			s.Deployments = append(s.Deployments, deployment(ro, h))
		}
	}
	return s
}

// after returns the upstream environments, each once.
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
		Key: fmt.Sprintf("%s/%d", ro.UID, *h.ID), ID: *h.ID, Version: h.Version, Message: ptr.Deref(h.Message, ""),
		State: v1alpha1.BakeStatus(ptr.Deref(h.BakeStatus, "")), StateMessage: ptr.Deref(h.BakeStatusMessage, ""),
		At:      h.Timestamp.Time,
		Attempt: ptr.Deref(h.LastRetryTimestamp, metav1.Time{}).Time,
		Order:   1 + version.Index(ro.Status.AvailableReleases, version.Identity(h.Version)),
	}
	if d.State == v1alpha1.BakeSucceeded {
		d.AvailableSince = ptr.Deref(h.BakeEndTime, metav1.Time{}).Time
	}
	for _, q := range ro.Status.Quarantined {
		if version.Matches(q.ReleaseIdentity, version.Identity(h.Version)) {
			d.Quarantine = q.Reason
		}
	}
	return d
}

// Application returns the name of an application, without the prefix that the public controller for GitHub adds.
func Application(name string) string {
	return cmp.Or(strings.TrimPrefix(name, "kuberik/"), name)
}

const (
	defaultInterval = time.Minute
	minInterval     = 10 * time.Second
)

// Interval returns how often an outside backend is read. It defaults to 1m and is at least 10s.
func Interval(spec environments.EnvironmentSpec) (time.Duration, error) {
	field, text := "spec.interval", (*string)(spec.Interval)
	switch {
	case text == nil:
		field, text = "spec.requeueInterval", spec.RequeueInterval
	case spec.RequeueInterval != nil && *spec.RequeueInterval != *text:
		return minInterval, fmt.Errorf("spec.interval is %s and spec.requeueInterval is %s: remove spec.requeueInterval",
			*text, *spec.RequeueInterval)
	}
	if text == nil {
		return defaultInterval, nil
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return minInterval, fmt.Errorf("%s: %w", field, err)
	}
	return max(d, minInterval), nil
}

// maxURL bounds a URL, in bytes.
const maxURL = 2048

// SafeURL returns a URL if it is safe to display, or else "". It must be an http or https URL of at most 2048 bytes,
// without spaces and control characters.
func SafeURL(raw string) string {
	isWeb := strings.HasPrefix(raw, "https://") || strings.HasPrefix(raw, "http://")
	if !isWeb || len(raw) > maxURL || strings.ContainsFunc(raw, unicode.IsSpace) || version.Clean(raw, maxURL) != raw {
		return ""
	}
	return raw
}
