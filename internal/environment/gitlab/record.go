package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	titlePrefix = "kuberik "
	// maxEntries is how many deployments of an environment are kept.
	maxEntries = 20
	maxText    = 256
	maxName    = 100
	maxAfter   = 50
	// maxLogin bounds who wrote a record, maxKey what names a deployment, and maxSignature a signature.
	maxLogin, maxKey, maxSignature = 255, 128, 64
	maxURL                         = 2048
	// maxRecord bounds what is read of somebody else's snippet.
	maxRecord = 256 << 10
	// maxWithin bounds the elements of the lists in it.
	maxWithin = 1000
)

// record is a snippet: what one login says of one environment.
type record struct {
	snippet int64
	author  string
	updated time.Time
	// raw is what is signed.
	raw       []byte
	signature string
	document
}

// envelope is what the description of a snippet holds.
type envelope struct {
	Record    json.RawMessage `json:"record"`
	Signature string          `json:"signature,omitempty"`
}

// document is what is said of an environment.
type document struct {
	Application string   `json:"application"`
	Environment string   `json:"environment"`
	After       []string `json:"after,omitempty"`
	Parallel    bool     `json:"parallel,omitempty"`
	URL         string   `json:"url,omitempty"`
	Deployments []entry  `json:"deployments"`
}

// entry is one deployment, and the last word about it.
type entry struct {
	Key            string               `json:"key"`
	ID             int64                `json:"id"`
	Version        v1alpha1.VersionInfo `json:"version"`
	Message        string               `json:"message,omitempty"`
	At             time.Time            `json:"at"`
	State          v1alpha1.BakeStatus  `json:"state"`
	StateMessage   string               `json:"stateMessage,omitempty"`
	Quarantine     string               `json:"quarantine,omitempty"`
	Attempt        time.Time            `json:"attempt,omitzero"`
	AvailableSince time.Time            `json:"availableSince,omitzero"`
	// Number counts the words about the deployment, so that of two logins that speak of it, the later one is believed.
	Number int64 `json:"number"`
	// GitLab is the id of the deployment there, and Status what it was told last.
	GitLab int64  `json:"gitlab"`
	Status string `json:"status"`
}

// newEntry is what is kept of a deployment.
func newEntry(d environment.Deployment) entry {
	e := entry{
		Key: d.Key, ID: d.ID, Version: *d.Version.DeepCopy(), Message: d.Message, At: seconds(d.At), State: d.State, StateMessage: d.StateMessage,
		Quarantine: d.Quarantine, Attempt: seconds(d.Attempt), AvailableSince: seconds(d.AvailableSince),
	}
	e.clean()
	return e
}

// clean makes what somebody wrote fit to be shown.
func (e *entry) clean() {
	for _, text := range []*string{&e.Message, &e.StateMessage, &e.Quarantine, e.Version.Version, e.Version.Revision} {
		if text != nil {
			*text = version.Clean(*text, maxText)
		}
	}
	switch e.State {
	case v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeCancelled:
	default:
		e.State = v1alpha1.BakeDeploying
	}
}

// says tells whether two words about a deployment are the same. What a deployment is does not change after it was made.
func (e *entry) says(other entry) bool {
	return e.State == other.State && e.StateMessage == other.StateMessage && e.Quarantine == other.Quarantine &&
		e.Attempt.Equal(other.Attempt) && e.AvailableSince.Equal(other.AvailableSince)
}

// status is what GitLab is told. What is quarantined is a failure to everybody there.
func (e *entry) status() string {
	switch {
	case e.Quarantine != "" || e.State == v1alpha1.BakeFailed:
		return "failed"
	case e.State == v1alpha1.BakeSucceeded:
		return "success"
	case e.State == v1alpha1.BakeCancelled:
		return "canceled"
	}
	return running
}

// running is the status that GitLab does not go back to.
const running = "running"

func (e *entry) deployment() environment.Deployment {
	return environment.Deployment{
		Key: e.Key, ID: e.ID, Version: *e.Version.DeepCopy(), Message: e.Message, State: e.State, StateMessage: e.StateMessage,
		Attempt: e.Attempt, At: e.At, AvailableSince: e.AvailableSince, Quarantine: e.Quarantine,
	}
}

// parse reads a snippet. It returns nil if it is none of kuberik.
func parse(s *gl.Snippet) *record {
	from, to := strings.Index(s.Description, "{"), strings.LastIndex(s.Description, "}")
	if !strings.HasPrefix(s.Title, titlePrefix) || from < 0 || to < from || to-from > maxRecord || s.ID == 0 {
		return nil
	}
	text := []byte(s.Description[from : to+1])
	var in envelope
	if _, nested := outbound.Elements(text, ""); nested > maxWithin || json.Unmarshal(text, &in) != nil {
		return nil
	}
	r := &record{snippet: s.ID, author: s.Author.Username, raw: in.Record, signature: in.Signature}
	if s.UpdatedAt != nil {
		r.updated = s.UpdatedAt.UTC()
	}
	if json.Unmarshal(in.Record, &r.document) != nil || !r.fits() {
		return nil
	}
	r.document.clean()
	return r
}

// fits says whether what is not cut is no longer than it should be.
func (r *record) fits() bool {
	return shown(r.Application) && shown(r.Environment) && len(r.author) <= maxLogin && len(r.signature) <= maxSignature
}

func shown(name string) bool { return name != "" && version.Clean(name, maxName) == name }

func (d *document) clean() {
	// Copied, so that the rest is not kept.
	d.After = slices.Clone(d.After[:min(len(d.After), maxAfter)])
	for i := range d.After {
		d.After[i] = version.Clean(d.After[i], maxName)
	}
	d.URL = safeURL(d.URL)
	var list []entry
	for _, e := range d.Deployments[:min(len(d.Deployments), 2*maxEntries)] {
		if e.Key == "" || len(e.Key) > maxKey || len(e.Status) > maxText || version.CheckTag(e.Version.Tag) != nil || version.CheckDigest(e.Version.Digest) != nil {
			continue
		}
		e.clean()
		e.Attempt, e.At, e.AvailableSince = seconds(e.Attempt), seconds(e.At), seconds(e.AvailableSince)
		list = append(list, e)
	}
	d.Deployments = list
}

// find returns the entry of a key, or nil.
func (d *document) find(key string) *entry {
	for i := range d.Deployments {
		if d.Deployments[i].Key == key {
			return &d.Deployments[i]
		}
	}
	return nil
}

// describe is the description of the snippet: a word to people, and the record on a line of its own that is shown as code.
func describe(d document, path string, key []byte) (string, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	out := envelope{Record: raw}
	if key != nil {
		out.Signature = sign(key, path, raw)
	}
	line, err := json.Marshal(out)
	if err != nil {
		return "", err
	}
	const people = "What became of the releases of this environment, for the Kuberik controllers of the others. Editing it has no lasting effect."
	return fmt.Sprintf("%s\n\n```json\n%s\n```\n", people, line), nil
}

// sign is over the project too, so that a record cannot be used in another one. Fields come with their lengths.
func sign(key []byte, path string, raw []byte) string {
	h := hmac.New(sha256.New, key)
	for _, f := range []string{"kuberik gitlab record 1", strings.ToLower(path), string(raw)} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func title(application, name string) string { return titlePrefix + environmentOf(application, name) }

func environmentOf(application, name string) string { return application + "/" + name }

func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

func safeURL(u string) string {
	if (strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")) && version.Clean(u, maxURL) == u {
		return u
	}
	return ""
}
