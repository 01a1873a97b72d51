package github

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	namePrefix = "kuberik/"
	taskPrefix = "deploy:"
	// maxText is GitHub's limit for a description, in bytes.
	maxText = 140
	// maxPayload bounds a payload that is read, in bytes.
	maxPayload = 64 << 10
	maxAfter   = 20
	maxName    = 100
	// maxKey, maxNumber and maxSignature bound a key, the digits of an ID, and a signature.
	maxKey, maxNumber, maxSignature = 128, 20, 64
	// maxLogURL bounds a link that contains a part of a report.
	maxLogURL = 2048

	fragment    = "kuberik:"
	quarantined = "quarantined: "
)

// deploymentName returns the name of an application at GitHub.
func deploymentName(application string) string {
	return namePrefix + strings.TrimPrefix(application, namePrefix)
}

func taskOf(name string) string                     { return taskPrefix + name }
func environmentOf(name, environment string) string { return name + "/" + environment }

// parseNames returns the names of the application and the environment of a deployment, or false if it is not one of
// Kuberik.
func parseNames(task, environment string) (name, short string, ok bool) {
	name, ok = strings.CutPrefix(task, taskPrefix)
	if !ok || !strings.HasPrefix(name, namePrefix) {
		return "", "", false
	}
	short, ok = strings.CutPrefix(environment, name+"/")
	return name, short, ok && short != "" && len(short) <= maxName && version.Clean(short, maxName) == short
}

// payload is the payload of a deployment. The public controller reads the fields of the first level.
type payload struct {
	ID           string                `json:"id"`
	Relationship *relationship         `json:"relationship,omitempty"`
	Version      *v1alpha1.VersionInfo `json:"version"`
	Kuberik      *extra                `json:"kuberik,omitempty"`
}

type relationship struct {
	Environment string `json:"environment"`
	Type        string `json:"type"`
}

// extra are the fields that only this controller reads.
type extra struct {
	Key       string    `json:"key"`
	After     []string  `json:"after,omitempty"`
	Parallel  bool      `json:"parallel,omitempty"`
	At        time.Time `json:"at"`
	Signature string    `json:"signature,omitempty"`
}

func newPayload(s environment.State, d environment.Deployment) *payload {
	p := &payload{
		ID: strconv.FormatInt(d.ID, 10), Version: d.Version.DeepCopy(),
		Kuberik: &extra{Key: d.Key, After: s.After, Parallel: s.Parallel, At: d.At.UTC().Truncate(time.Second)},
	}
	if len(s.After) > 0 {
		p.Relationship = &relationship{Environment: s.After[0], Type: "After"}
		if s.Parallel {
			p.Relationship.Type = "Parallel"
		}
	}
	// The signature covers the payload as it will be read.
	p.clean()
	return p
}

var errPayload = errors.New("the payload is not that of a Kuberik deployment")

// parsePayload parses a payload: a JSON object, or a string with one, plain or in base64.
func parsePayload(raw json.RawMessage) (*payload, int64, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > maxPayload {
		return nil, 0, errPayload
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
			raw = decoded
		}
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil || p.Version == nil || !p.fits() {
		return nil, 0, errPayload
	}
	id, err := strconv.ParseInt(p.ID, 10, 64)
	if err != nil || version.CheckTag(p.Version.Tag) != nil || version.CheckDigest(p.Version.Digest) != nil {
		return nil, 0, errPayload
	}
	p.clean()
	return &p, id, nil
}

// fits reports whether the texts that are compared, and so must not be cut, are short enough.
func (p *payload) fits() bool {
	return len(p.ID) <= maxNumber &&
		(p.Kuberik == nil || len(p.Kuberik.Key) <= maxKey && len(p.Kuberik.Signature) <= maxSignature)
}

// clean makes the texts of others safe to display, and short.
func (p *payload) clean() {
	for _, text := range []*string{p.Version.Version, p.Version.Revision} {
		if text != nil {
			*text = version.Clean(*text, 256)
		}
	}
	if p.Kuberik != nil {
		// The copy keeps the rest from being retained, and the slice of the caller from being changed.
		p.Kuberik.After = slices.Clone(p.Kuberik.After[:min(len(p.Kuberik.After), maxAfter)])
		for i, name := range p.Kuberik.After {
			p.Kuberik.After[i] = version.Clean(name, maxName)
		}
	}
	if p.Relationship != nil {
		p.Relationship.Environment = version.Clean(p.Relationship.Environment, maxName)
		p.Relationship.Type = version.Clean(p.Relationship.Type, maxName)
	}
}

// after returns the upstream environments, and whether they are peers.
func (p *payload) after() (names []string, parallel bool) {
	switch {
	case p.Kuberik != nil:
		return slices.Clone(p.Kuberik.After), p.Kuberik.Parallel
	case p.Relationship != nil && p.Relationship.Environment != "":
		return []string{p.Relationship.Environment}, p.Relationship.Type == "Parallel"
	}
	return nil, false
}

// key returns the key of the deployment; empty if another controller created it.
func (p *payload) key() string {
	if p.Kuberik == nil {
		return ""
	}
	return p.Kuberik.Key
}

// statusReport is the content of a status.
type statusReport struct {
	state      v1alpha1.BakeStatus
	message    string
	quarantine string
	since      time.Time
	attempt    time.Time
	// number counts the reports about a deployment, so that a repeated old one does not count as the newest.
	number    int64
	signature string
}

// texts are the state and the description at GitHub for each state. The public controller understands only these texts.
var texts = []struct {
	state  v1alpha1.BakeStatus
	github string
	text   string
}{
	{v1alpha1.BakeSucceeded, "success", "Bake succeeded"},
	{v1alpha1.BakeFailed, "failure", "Bake failed"},
	{v1alpha1.BakeInProgress, "in_progress", "Baking in progress"},
	{v1alpha1.BakeDeploying, "in_progress", "Deploying"},
	{v1alpha1.BakeCancelled, "inactive", "Bake cancelled"},
}

func newReport(d environment.Deployment) statusReport {
	s := statusReport{
		state: d.State, message: d.StateMessage, quarantine: d.Quarantine, since: d.AvailableSince, attempt: d.Attempt,
	}
	if s.state == "" {
		s.state = v1alpha1.BakeDeploying
	}
	// Texts are compared as they will be read, since they may be cut.
	_, text := s.texts()
	read, _ := parseReport("", text, "")
	s.message, s.quarantine = read.message, read.quarantine
	return s
}

// texts returns the state and the description of the status. A quarantined release is shown as failed.
func (s statusReport) texts() (state, text string) {
	shown, explanation := s.state, s.message
	if s.quarantine != "" {
		shown, explanation = v1alpha1.BakeFailed, quarantined+s.quarantine
	}
	state, text = "pending", "Deploying"
	for _, t := range texts {
		if t.state == shown {
			state, text = t.github, t.text
		}
	}
	if explanation != "" {
		text += ": " + explanation
	}
	// GitHub removes trailing spaces.
	return state, strings.TrimSpace(version.Clean(text, maxText))
}

// logURL returns a link whose fragment contains what does not fit into the description.
func (s statusReport) logURL(base string) string {
	v := url.Values{"n": {strconv.FormatInt(s.number, 10)}}
	for name, at := range map[string]time.Time{"since": s.since, "attempt": s.attempt} {
		if !at.IsZero() {
			v.Set(name, strconv.FormatInt(at.Unix(), 10))
		}
	}
	if s.quarantine != "" {
		v.Set("state", string(s.state))
	}
	if s.signature != "" {
		v.Set("signature", s.signature)
	}
	return base + "#" + fragment + v.Encode()
}

// parseReport parses a status. It returns false if the status is not about a bake, such as one that GitHub creates
// itself.
func parseReport(state, text, logURL string) (s statusReport, ok bool) {
	head, message, _ := strings.Cut(text, ":")
	for _, t := range texts {
		if t.text == head {
			s.state, ok = t.state, true
		}
	}
	if !ok || state == "inactive" && s.state != v1alpha1.BakeCancelled {
		return statusReport{}, false
	}
	s.message = strings.TrimSpace(version.Clean(message, maxText))
	s.parseFragment(logURL)
	if reason, ok := strings.CutPrefix(s.message, quarantined); ok && head == "Bake failed" {
		s.quarantine, s.message = reason, ""
	}
	return s, true
}

func (s *statusReport) parseFragment(logURL string) {
	_, values, ok := strings.Cut(logURL, "#"+fragment)
	if !ok || len(logURL) > maxLogURL {
		return
	}
	v, err := url.ParseQuery(values)
	if err != nil {
		return
	}
	s.since, s.attempt = parseUnix(v.Get("since")), parseUnix(v.Get("attempt"))
	if signature := v.Get("signature"); len(signature) <= maxSignature {
		s.signature = strings.Clone(signature)
	}
	if n, err := strconv.ParseInt(v.Get("n"), 10, 64); err == nil && n > 0 && n < 1<<40 {
		s.number = n
	}
	for _, t := range texts {
		if string(t.state) == v.Get("state") && strings.HasPrefix(s.message, quarantined) {
			s.state = t.state
		}
	}
}

func parseUnix(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// equal reports whether two reports are equal, except for their numbers and signatures.
func (s statusReport) equal(other statusReport) bool {
	return s.state == other.state && s.message == other.message && s.quarantine == other.quarantine &&
		s.since.Unix() == other.since.Unix() && s.attempt.Unix() == other.attempt.Unix()
}
