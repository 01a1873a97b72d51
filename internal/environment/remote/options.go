package remote

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

const (
	// DefaultBudget is the number of requests that one account makes in an hour. GitHub allows 5,000.
	DefaultBudget = 1000

	defaultInterval = time.Minute
	defaultTimeout  = 15 * time.Second
)

// Service describes an outside service.
type Service struct {
	// Name of the service, for messages.
	Name string
	// URL of the public API, and an example of another one for messages.
	URL, ExampleURL string
	// Project matches the path of a project, and ProjectFormat describes it in messages.
	Project       *regexp.Regexp
	ProjectFormat string
	// Writes returns the limits of the writes of an account, which also count for the budget of its requests.
	Writes func(budget int) []Limit
	// MaxObject bounds a response that is not a list, in bytes.
	MaxObject int
	// Uncounted is the field of list items whose nested items are not limited, since it is decoded separately.
	Uncounted string
	// RateLimit reads the rate limit from a response.
	RateLimit func(resp *http.Response, body []byte) RateLimit
	// Rejections are the status codes with which the service rejects a write.
	Rejections []int
	// Advice says what to do about a status code that persists until somebody changes something.
	Advice map[int]string
}

// Limit is a number of requests per period.
type Limit struct {
	// Requests per period.
	Requests int
	// Period of the limit.
	Period time.Duration
}

// Options of a Backend.
type Options struct {
	// Namespace that the Backend works for. It has a share of the memory.
	Namespace string
	// Project is the path of the repository or project, as in owner/repository.
	Project string
	// URL of the API. Defaults to that of the public service.
	URL string
	// Token that authenticates the requests.
	Token string
	// HTTPClient has the Transport and the CheckRedirect of the requests. Defaults to http.DefaultClient. Backends with
	// the same URL and credentials share that of the first one. Check that the credentials may be sent to the URL
	// before you open a Backend.
	HTTPClient *http.Client
	// Interval between two reads. Defaults to 1m.
	Interval time.Duration
	// Trust says whose writes are evidence.
	Trust
}

// Complete validates the options and sets the defaults.
func (o Options) Complete(s *Service) (Options, error) {
	o.URL = strings.TrimSuffix(cmp.Or(o.URL, s.URL), "/") + "/"
	o.Interval = cmp.Or(max(o.Interval, 0), defaultInterval)
	o.HTTPClient = cmp.Or(o.HTTPClient, http.DefaultClient)
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return o, errors.New("the API URL is not an absolute URL: write one such as " + s.ExampleURL)
	case !s.Project.MatchString(o.Project):
		return o, fmt.Errorf("project %q is not %s", o.Project, s.ProjectFormat)
	}
	return o, o.validate()
}

// PoolOptions of a pool of Backends.
type PoolOptions struct {
	// Budget is the number of requests that one account makes in any hour. Defaults to DefaultBudget.
	Budget int
	// Memory is how much memory the projects may take in total, in bytes. Defaults to DefaultMemory.
	Memory int
	// MemoryOfNamespace is how much of it those may take that one namespace uses. Defaults to DefaultMemoryOfNamespace.
	MemoryOfNamespace int
	// Timeout of one request. Defaults to 15s.
	Timeout time.Duration
	// Observer of the requests. Defaults to none.
	Observer Observer
	// Clock tells the time. Defaults to that of the system.
	Clock clock.PassiveClock
}

// Complete sets the defaults.
func (o PoolOptions) Complete() PoolOptions {
	o.Budget, o.Timeout = cmp.Or(max(o.Budget, 0), DefaultBudget), cmp.Or(max(o.Timeout, 0), defaultTimeout)
	o.Memory = cmp.Or(max(o.Memory, 0), DefaultMemory)
	o.MemoryOfNamespace = cmp.Or(max(o.MemoryOfNamespace, 0), DefaultMemoryOfNamespace)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return o
}
