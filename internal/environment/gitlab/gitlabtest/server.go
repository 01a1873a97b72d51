package gitlabtest

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Fault replaces the response to a request.
type Fault struct {
	// Status of the response; 0 closes the connection.
	Status int
	// Header of the response.
	Header map[string]string
	// Body of the response.
	Body string
	// Effect reports whether the request takes effect anyway.
	Effect bool
	// Truncate sends only the first half of the regular response. It implies Effect.
	Truncate bool
}

// Server is a fake of the API of GitLab. It is safe for concurrent use.
type Server struct {
	clock   clock.PassiveClock
	project string

	mu           sync.Mutex
	fault        func(*http.Request) *Fault
	users        map[string]string
	rejected     map[string]bool
	last         int64
	environments []*environment
	deployments  []*deployment
	snippets     []*snippet
	writes       int
	calls        []string
}

type user struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

type environment struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	State       string `json:"state"`
	ExternalURL string `json:"external_url"`
}

type deployment struct {
	ID          int64        `json:"id"`
	IID         int64        `json:"iid"`
	Ref         string       `json:"ref"`
	SHA         string       `json:"sha"`
	Status      string       `json:"status"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
	User        user         `json:"user"`
	Environment *environment `json:"environment"`
	Deployable  any          `json:"deployable"`
}

type snippet struct {
	ID          int64     `json:"id"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Visibility  string    `json:"visibility"`
	Author      user      `json:"author"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// New returns a Server with one empty project.
func New(c clock.PassiveClock, project string) *Server {
	return &Server{clock: c, project: project, users: map[string]string{}, rejected: map[string]bool{}}
}

// AddToken adds a token of a user.
func (s *Server) AddToken(token, username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[token] = username
}

// Reject makes a commit unknown.
func (s *Server) Reject(commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[commit] = true
}

// Break calls the function for the fault of each request from now on. Nil removes it.
func (s *Server) Break(choose func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

// Writes returns the number of requests that changed something.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Calls returns the requests since its last call, as in GET /user.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

var named = regexp.MustCompile(`"gitlab":(\d+),`)

// Count returns how often a key is in the snippets, plus the number of deployments that no snippet names.
func (s *Server) Count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	claimed := map[string]bool{}
	n := 0
	for _, sn := range s.snippets {
		n += strings.Count(sn.Description, `"key":"`+key+`"`)
		for _, m := range named.FindAllStringSubmatch(sn.Description, -1) {
			claimed[m[1]] = true
		}
	}
	for _, d := range s.deployments {
		if !claimed[itoa(d.ID)] {
			n++
		}
	}
	return n
}

// Edit changes the snippets of a user, as a maintainer can.
func (s *Server) Edit(username string, change func(description string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sn := range s.snippets {
		if sn.Author.Username == username {
			sn.Description = change(sn.Description)
		}
	}
}

// Deployed returns the deployments of an environment, as in "<commit> success", and its URL.
func (s *Server) Deployed(name string) (list []string, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.deployments {
		if d.Environment.Name == name {
			list, url = append(list, d.SHA+" "+d.Status), d.Environment.ExternalURL
		}
	}
	return list, url
}
