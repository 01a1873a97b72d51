package gitlab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/remote"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	titlePrefix = "kuberik "
	// maxEntries bounds the deployments of a record.
	maxEntries = 20
	maxText    = 256
	maxName    = 100
	maxAfter   = 50
	// maxLogin, maxKey and maxSignature bound a username, a key, and a signature.
	maxLogin, maxKey, maxSignature = 255, 128, 64
	// maxRecord bounds a record that is read, in bytes, and maxItems the items of the lists in it.
	maxRecord, maxItems = 256 << 10, 1000
)

// record is a snippet: the report of one login about one environment.
type record struct {
	snippet int64
	author  string
	updated time.Time
	// raw is the signed text.
	raw       []byte
	signature string
	document
}

// envelope is the JSON in the description of a snippet.
type envelope struct {
	Record    json.RawMessage `json:"record"`
	Signature string          `json:"signature,omitempty"`
}

// document is the content of a record.
type document struct {
	Application string   `json:"application"`
	Environment string   `json:"environment"`
	After       []string `json:"after,omitempty"`
	Parallel    bool     `json:"parallel,omitempty"`
	URL         string   `json:"url,omitempty"`
	Deployments []entry  `json:"deployments"`
}

// entry is one deployment and its last status.
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
	// Number counts the reports about the deployment. If two trusted logins report about it, the higher number counts.
	Number int64 `json:"number"`
	// GitLab is the ID of the deployment at GitLab, and Status its status there.
	GitLab int64  `json:"gitlab"`
	Status string `json:"status"`
}

// newEntry returns the entry of a deployment.
func newEntry(d environment.Deployment) entry {
	e := entry{
		Key: d.Key, ID: d.ID, Version: *d.Version.DeepCopy(), Message: d.Message, At: seconds(d.At), State: d.State,
		StateMessage: d.StateMessage,
		Quarantine:   d.Quarantine, Attempt: seconds(d.Attempt), AvailableSince: seconds(d.AvailableSince),
	}
	e.clean()
	return e
}

// clean makes the texts of others safe to display.
func (e *entry) clean() {
	for _, text := range []*string{&e.Message, &e.StateMessage, &e.Quarantine, e.Version.Version, e.Version.Revision} {
		if text != nil {
			*text = version.Clean(*text, maxText)
		}
	}
	switch e.State {
	case v1alpha1.BakeDeploying,
		v1alpha1.BakeInProgress,
		v1alpha1.BakeSucceeded,
		v1alpha1.BakeFailed,
		v1alpha1.BakeCancelled:
	default:
		e.State = v1alpha1.BakeDeploying
	}
}

// sameStatus reports whether two entries have the same status. The other fields of a deployment never change.
func (e *entry) sameStatus(other entry) bool {
	return e.State == other.State && e.StateMessage == other.StateMessage && e.Quarantine == other.Quarantine &&
		e.Attempt.Equal(other.Attempt) && e.AvailableSince.Equal(other.AvailableSince)
}

// status returns the status at GitLab. A quarantined release is shown as failed.
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

// running is the status to which a deployment of GitLab never returns.
const running = "running"

func (e *entry) deployment() environment.Deployment {
	return environment.Deployment{
		Key: e.Key, ID: e.ID, Version: *e.Version.DeepCopy(), Message: e.Message, State: e.State,
		StateMessage: e.StateMessage,
		Attempt:      e.Attempt, At: e.At, AvailableSince: e.AvailableSince, Quarantine: e.Quarantine,
	}
}

// parse parses a snippet. It returns nil if it is not one of Kuberik.
func parse(s *gl.Snippet) *record {
	from, to := strings.Index(s.Description, "{"), strings.LastIndex(s.Description, "}")
	if !strings.HasPrefix(s.Title, titlePrefix) || from < 0 || to < from || to-from > maxRecord || s.ID == 0 {
		return nil
	}
	text := []byte(s.Description[from : to+1])
	var in envelope
	if _, nested := remote.CountItems(text, ""); nested > maxItems || json.Unmarshal(text, &in) != nil {
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

// fits reports whether the texts that must not be cut are short enough.
func (r *record) fits() bool {
	return isName(r.Application) && isName(r.Environment) && len(r.author) <= maxLogin && len(r.signature) <= maxSignature
}

func isName(name string) bool { return name != "" && version.Clean(name, maxName) == name }

func (d *document) clean() {
	// The copy releases the memory of the rest.
	d.After = slices.Clone(d.After[:min(len(d.After), maxAfter)])
	for i := range d.After {
		d.After[i] = version.Clean(d.After[i], maxName)
	}
	d.URL = environment.SafeURL(d.URL)
	var list []entry
	for _, e := range d.Deployments[:min(len(d.Deployments), 2*maxEntries)] {
		if e.Key == "" || len(e.Key) > maxKey || len(e.Status) > maxText || version.CheckTag(e.Version.Tag) != nil ||
			version.CheckDigest(e.Version.Digest) != nil {
			continue
		}
		e.clean()
		e.Attempt, e.At, e.AvailableSince = seconds(e.Attempt), seconds(e.At), seconds(e.AvailableSince)
		list = append(list, e)
	}
	d.Deployments = list
}

// find returns the entry with a key, or nil.
func (d *document) find(key string) *entry {
	for i := range d.Deployments {
		if d.Deployments[i].Key == key {
			return &d.Deployments[i]
		}
	}
	return nil
}

// describe returns the description of the snippet: a sentence for users, and the record in a code block.
func describe(d document, path string, t remote.Trust) (string, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(envelope{Record: raw, Signature: t.Sign(signed(path, raw)...)})
	if err != nil {
		return "", err
	}
	const introduction = "The state of the releases in this environment, for the Kuberik controllers of the other " +
		"environments. " +
		"Do not edit it: changes are overwritten."
	return fmt.Sprintf("%s\n\n```json\n%s\n```\n", introduction, line), nil
}

// signed returns the fields that the signature of a record covers. With the path of the project, a record is not valid
// in another one.
func signed(path string, raw []byte) []string {
	return []string{"kuberik gitlab record 1", strings.ToLower(path), string(raw)}
}

func title(application, name string) string { return titlePrefix + environmentOf(application, name) }

func environmentOf(application, name string) string { return application + "/" + name }

func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}
