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

// Fault replaces the response to a request.
type Fault struct {
	// Effect reports whether the request takes effect anyway.
	Effect bool
	// Status, Header and Body of the response.
	Status int
	Header map[string]string
	Body   string
	// Hang delays the response until the client closes the connection.
	Hang bool
	// Truncate sends only the first half of the regular response. It implies Effect.
	Truncate bool
}

// Call is a request that got a response.
type Call struct {
	// Method and Path of the request.
	Method, Path string
	// Status of the response.
	Status int
}

// Server is a fake of the API of GitHub. Set its fields before you use it. It is safe for concurrent use.
type Server struct {
	// Clock of the clients. The clock of the server is ahead of it by Skew.
	Clock clock.PassiveClock
	// Skew of the clock of the server.
	Skew time.Duration
	// Limit is the number of requests in an hour. Defaults to 5000. Responses with status 304 do not count.
	Limit int
	// Untouched leaves the updated_at of a deployment unchanged when it gets a status.
	Untouched bool
	// Shuffle reverses the order of the deployments of a page.
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

// New returns a server with one repository.
func New(c clock.PassiveClock, project string) *Server {
	return &Server{
		Clock: c, logins: map[string]string{}, apps: map[int64]*app{}, rejected: map[string]bool{},
		repositories: map[string]bool{strings.ToLower(project): true},
	}
}

// AddToken adds a token of a login.
func (s *Server) AddToken(token, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins[token] = login
}

// RevokeToken removes a token.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.logins, token)
}

// AddApp adds a GitHub App with an installation.
func (s *Server) AddApp(id, installation int64, slug string, key *rsa.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[id] = &app{slug: slug, installation: installation, key: key}
}

// AddRepository adds a repository.
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

// Break calls the function for the fault of each request from now on. Nil removes it.
func (s *Server) Break(choose func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

// Calls returns the requests since its last call.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Writes returns the number of deployments, and of statuses that GitHub did not add itself.
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

// Count returns the number of deployments with a key.
func (s *Server) Count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, d := range s.deployments {
		if strings.Contains(string(d.payload), `"key":"`+key+`"`) {
			n++
		}
	}
	return n
}

// Duplicate creates each deployment a second time, as two controllers may at the same time.
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

// now returns the time of the server, in whole seconds as GitHub does.
func (s *Server) now() time.Time { return s.Clock.Now().Add(s.Skew).UTC().Truncate(time.Second) }
