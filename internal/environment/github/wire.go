package github

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
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
	// maxText is what GitHub takes of a description, in bytes.
	maxText = 140
	// maxPayload bounds what is read of somebody else's payload.
	maxPayload = 64 << 10
	maxAfter   = 20
	maxName    = 100
	// maxKey bounds what names a deployment, maxNumber its number in digits, maxSignature a signature.
	maxKey, maxNumber, maxSignature = 128, 20, 64
	// maxLogURL bounds the link that carries the rest of a word.
	maxLogURL = 2048

	fragment    = "kuberik:"
	quarantined = "quarantined: "
)

// deploymentName is what an application is called at GitHub.
func deploymentName(application string) string {
	return namePrefix + strings.TrimPrefix(application, namePrefix)
}

func taskOf(name string) string                     { return taskPrefix + name }
func environmentOf(name, environment string) string { return name + "/" + environment }

// parseNames finds the application and the environment in what a deployment says; no if it is none of ours.
func parseNames(task, environment string) (name, short string, ok bool) {
	name, ok = strings.CutPrefix(task, taskPrefix)
	if !ok || !strings.HasPrefix(name, namePrefix) {
		return "", "", false
	}
	short, ok = strings.CutPrefix(environment, name+"/")
	return name, short, ok && short != "" && len(short) <= maxName && version.Clean(short, maxName) == short
}

var fluxCommit = regexp.MustCompile(`(?:^|[@/])(?:sha1:|sha256:)?([0-9a-f]{40}|[0-9a-f]{64})$`)

// refOf is the Git reference of a revision. Flux writes main@sha1:<commit>, and main/<commit> of old.
func refOf(revision string) string {
	if m := fluxCommit.FindStringSubmatch(revision); m != nil {
		return m[1]
	}
	return revision
}

// payload is what a deployment carries. The fields of the first level are those that the controllers of others read.
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

// extra is what only we read.
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
	// As it will be read, so that the signature is over the same.
	p.clean()
	return p
}

var errPayload = errors.New("the payload is none of a deployment of kuberik")

// parsePayload reads a payload: an object, a string that holds one, or a string that holds one in base64.
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

// fits says whether what is compared word by word, and so not cut, is no longer than we write it.
func (p *payload) fits() bool {
	return len(p.ID) <= maxNumber && (p.Kuberik == nil || len(p.Kuberik.Key) <= maxKey && len(p.Kuberik.Signature) <= maxSignature)
}

// clean makes what somebody else wrote fit to be shown and to be kept.
func (p *payload) clean() {
	for _, text := range []*string{p.Version.Version, p.Version.Revision} {
		if text != nil {
			*text = version.Clean(*text, 256)
		}
	}
	if p.Kuberik != nil {
		// Copied, so that the rest is not kept, nor what is the caller's changed.
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

// after is what the environment of a deployment comes after.
func (p *payload) after() (names []string, parallel bool) {
	switch {
	case p.Kuberik != nil:
		return slices.Clone(p.Kuberik.After), p.Kuberik.Parallel
	case p.Relationship != nil && p.Relationship.Environment != "":
		return []string{p.Relationship.Environment}, p.Relationship.Type == "Parallel"
	}
	return nil, false
}

// key of a deployment; empty if others made it.
func (p *payload) key() string {
	if p.Kuberik == nil {
		return ""
	}
	return p.Kuberik.Key
}

// word is what a status says.
type word struct {
	state      v1alpha1.BakeStatus
	message    string
	quarantine string
	since      time.Time
	attempt    time.Time
	// number counts the words about one deployment, so that an old one that is repeated is not taken for the newest.
	number    int64
	signature string
}

// phrases are how the states are put. Controllers of others understand these words and nothing else.
var phrases = []struct {
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

func newWord(d environment.Deployment) word {
	w := word{state: d.State, message: d.StateMessage, quarantine: d.Quarantine, since: d.AvailableSince, attempt: d.Attempt}
	if w.state == "" {
		w.state = v1alpha1.BakeDeploying
	}
	// What is cut is compared as it is read.
	_, text := w.phrase()
	read, _ := parseWord("", text, "")
	w.message, w.quarantine = read.message, read.quarantine
	return w
}

// phrase is the state and the description of a status. What is quarantined is a failure to everybody else.
func (w word) phrase() (state, text string) {
	said, explanation := w.state, w.message
	if w.quarantine != "" {
		said, explanation = v1alpha1.BakeFailed, quarantined+w.quarantine
	}
	state, text = "pending", "Deploying"
	for _, p := range phrases {
		if p.state == said {
			state, text = p.github, p.text
		}
	}
	if explanation != "" {
		text += ": " + explanation
	}
	// GitHub does not keep blanks at the end.
	return state, strings.TrimSpace(version.Clean(text, maxText))
}

// logURL carries what a description has no room for, behind a link that leads somewhere.
func (w word) logURL(base string) string {
	v := url.Values{"n": {strconv.FormatInt(w.number, 10)}}
	for name, at := range map[string]time.Time{"since": w.since, "attempt": w.attempt} {
		if !at.IsZero() {
			v.Set(name, strconv.FormatInt(at.Unix(), 10))
		}
	}
	if w.quarantine != "" {
		v.Set("state", string(w.state))
	}
	if w.signature != "" {
		v.Set("signature", w.signature)
	}
	return base + "#" + fragment + v.Encode()
}

// parseWord reads a status. It says no if the status is not about a bake, as those are that GitHub adds by itself.
func parseWord(state, text, logURL string) (w word, ok bool) {
	head, message, _ := strings.Cut(text, ":")
	for _, p := range phrases {
		if p.text == head {
			w.state, ok = p.state, true
		}
	}
	if !ok || state == "inactive" && w.state != v1alpha1.BakeCancelled {
		return word{}, false
	}
	w.message = strings.TrimSpace(version.Clean(message, maxText))
	w.parseNote(logURL)
	if reason, is := strings.CutPrefix(w.message, quarantined); is && head == "Bake failed" {
		w.quarantine, w.message = reason, ""
	}
	return w, true
}

func (w *word) parseNote(logURL string) {
	_, note, ok := strings.Cut(logURL, "#"+fragment)
	if !ok || len(logURL) > maxLogURL {
		return
	}
	v, err := url.ParseQuery(note)
	if err != nil {
		return
	}
	w.since, w.attempt = seconds(v.Get("since")), seconds(v.Get("attempt"))
	if s := v.Get("signature"); len(s) <= maxSignature {
		w.signature = strings.Clone(s)
	}
	if n, err := strconv.ParseInt(v.Get("n"), 10, 64); err == nil && n > 0 && n < 1<<40 {
		w.number = n
	}
	for _, p := range phrases {
		if string(p.state) == v.Get("state") && strings.HasPrefix(w.message, quarantined) {
			w.state = p.state
		}
	}
}

func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// same says whether two words say the same.
func (w word) same(other word) bool {
	return w.state == other.state && w.message == other.message && w.quarantine == other.quarantine &&
		w.since.Unix() == other.since.Unix() && w.attempt.Unix() == other.attempt.Unix()
}
