package githubtest

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Fault is what happens to a request instead of a proper answer.
type Fault struct {
	// Effect lets the request do what it asks for before that.
	Effect bool
	// Status, Header and Body of the answer.
	Status int
	Header map[string]string
	Body   string
	// Hang answers nothing until the client gives up.
	Hang bool
	// Truncate ends the proper answer in its middle. It implies Effect.
	Truncate bool
}

// Call is a request that was answered.
type Call struct {
	// Method and Path of the request.
	Method, Path string
	// Status of the answer.
	Status int
}

// Server is the API of GitHub. Its fields are set before it is used; it is safe for use by several at once.
type Server struct {
	// Clock of those who ask. The server's own is ahead of it by Skew.
	Clock clock.PassiveClock
	// Skew of the server's clock.
	Skew time.Duration
	// Limit is how many requests an hour are answered. Default 5000. Answers that nothing has changed are not counted.
	Limit int
	// Untouched leaves the updated_at of a deployment as it is when it gets a status.
	Untouched bool
	// Shuffle puts the deployments of a page in another order.
	Shuffle bool

	mu           sync.Mutex
	fault        func(*http.Request) *Fault
	logins       map[string]string
	apps         map[int64]*app
	repositories map[string]bool
	rejected     map[string]bool
	deployments  []*deployment
	statuses     int64
	calls        []Call
	used         int
	window       time.Time
}

type app struct {
	slug         string
	installation int64
	key          *rsa.PublicKey
}

type deployment struct {
	id                     int64
	project                string
	ref, task, environment string
	description, creator   string
	payload                json.RawMessage
	production, transient  bool
	created, updated       time.Time
	statuses               []*status
}

type status struct {
	id                                  int64
	state, description, creator         string
	environment, environmentURL, logURL string
	created                             time.Time
}

// New makes a server with one repository.
func New(c clock.PassiveClock, project string) *Server {
	return &Server{
		Clock: c, logins: map[string]string{}, apps: map[int64]*app{}, rejected: map[string]bool{},
		repositories: map[string]bool{strings.ToLower(project): true},
	}
}

// AddToken makes a token that belongs to a login.
func (s *Server) AddToken(token, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins[token] = login
}

// RevokeToken makes a token that belongs to nobody any more.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.logins, token)
}

// AddApp makes a GitHub App with an installation.
func (s *Server) AddApp(id, installation int64, slug string, key *rsa.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[id] = &app{slug: slug, installation: installation, key: key}
}

// AddRepository makes another repository.
func (s *Server) AddRepository(project string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories[strings.ToLower(project)] = true
}

// Reject makes a ref unknown.
func (s *Server) Reject(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[ref] = true
}

// Push makes a ref known again.
func (s *Server) Push(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rejected, ref)
}

// Break asks the function about each request from now on; nil asks nobody.
func (s *Server) Break(fault func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Calls returns the requests that were answered since the last time that it was asked.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Writes counts the deployments and the statuses that somebody made.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.deployments)
	for _, d := range s.deployments {
		for _, st := range d.statuses {
			if st.description != "" {
				n++
			}
		}
	}
	return n
}

// Count counts the deployments that have some text in their payload.
func (s *Server) Count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, d := range s.deployments {
		if strings.Contains(string(d.payload), text) {
			n++
		}
	}
	return n
}

// Duplicate makes a second one of every deployment, as happens when two make one at the same time.
func (s *Server) Duplicate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range slices.Clone(s.deployments) {
		twin := *d
		twin.id, twin.statuses = s.nextID(), slices.Clone(d.statuses)
		s.deployments = append(s.deployments, &twin)
	}
}

// Delete deletes all deployments.
func (s *Server) Delete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deployments = nil
}

func (s *Server) nextID() int64 {
	if len(s.deployments) == 0 {
		return 1001
	}
	return s.deployments[len(s.deployments)-1].id + 1
}

// now is the time by the server's clock. GitHub keeps whole seconds.
func (s *Server) now() time.Time { return s.Clock.Now().Add(s.Skew).UTC().Truncate(time.Second) }
