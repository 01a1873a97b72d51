package gitlab

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

	"github.com/kuberik/kuberik/internal/environment"
)

const (
	// DefaultBaseURL is that of gitlab.com.
	DefaultBaseURL = "https://gitlab.com/"
	// DefaultBudget is how many requests are made in an hour.
	DefaultBudget = 1000
	// DefaultInterval between two looks at the snippets.
	DefaultInterval = time.Minute

	defaultTimeout = 15 * time.Second
	// shortestKey is what HMAC-SHA256 gives away nothing with.
	shortestKey = 32
)

// Options of a Backend.
type Options struct {
	// Project is group/project, with all groups that it is in.
	Project string
	// BaseURL of a GitLab of your own, as in https://gitlab.example.com/. Default DefaultBaseURL.
	BaseURL string
	// Token to make requests with.
	Token string
	// HTTPClient whose transport makes the requests, and that says which redirects are followed. Default http.DefaultClient. Backends with
	// the same URL and token share that of the first.
	HTTPClient *http.Client
	// Interval after which news are asked for. Default DefaultInterval.
	Interval time.Duration
	// TrustedActors are the usernames whose word is evidence, besides that of the token.
	TrustedActors []string
	// SignatureKey signs what is written. Where it is set, what is not signed with it is no evidence. At least 32 bytes.
	SignatureKey []byte
	// UnsignedActors are trusted, and without a signature.
	UnsignedActors []string
}

var project = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`)

// complete checks the options and fills in what has a default.
func (o Options) complete() (Options, error) {
	o.BaseURL = strings.TrimSuffix(cmp.Or(o.BaseURL, DefaultBaseURL), "/") + "/"
	o.Interval = cmp.Or(max(o.Interval, 0), DefaultInterval)
	o.HTTPClient = cmp.Or(o.HTTPClient, http.DefaultClient)
	switch {
	case !absolute(o.BaseURL):
		return o, errors.New("the URL of GitLab is none: write one such as https://gitlab.example.com/")
	case !project.MatchString(o.Project):
		return o, fmt.Errorf("project %q is not group/project", o.Project)
	case o.Token == "":
		return o, errors.New("there is no token to ask GitLab with")
	case o.SignatureKey != nil && len(o.SignatureKey) < shortestKey:
		return o, fmt.Errorf("the signature key has %d bytes: it needs %d", len(o.SignatureKey), shortestKey)
	}
	return o, nil
}

func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// PoolOptions of a Pool.
type PoolOptions struct {
	// Budget is how many requests are made with the same token in any hour; half of them may be writes. Default DefaultBudget.
	Budget int
	// Timeout of one request. Default 15s.
	Timeout time.Duration
	// Observer of requests, or nil.
	Observer environment.Observer
	// Clock to tell the time. Default the system's.
	Clock clock.PassiveClock
}

func (o PoolOptions) complete() PoolOptions {
	o.Budget, o.Timeout = cmp.Or(max(o.Budget, 0), DefaultBudget), cmp.Or(max(o.Timeout, 0), defaultTimeout)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Observer == nil {
		o.Observer = environment.Unobserved{}
	}
	return o
}
