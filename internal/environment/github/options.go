package github

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
	// DefaultAPIURL is that of github.com.
	DefaultAPIURL = "https://api.github.com/"
	// DefaultBudget is how many requests are made in an hour. GitHub allows 5,000.
	DefaultBudget = 1000
	// DefaultInterval between two looks at the newest deployments.
	DefaultInterval = time.Minute

	defaultTimeout = 15 * time.Second
	// shortestKey is what HMAC-SHA256 gives away nothing with.
	shortestKey = 32
)

// App is what a GitHub App proves itself with.
type App struct {
	// ID of the App.
	ID int64
	// Installation is the ID of its installation at the owner of the repository.
	Installation int64
	// PrivateKey in PEM.
	PrivateKey []byte
}

func (a *App) named() bool { return a.ID > 0 && a.Installation > 0 }

// Options of a Backend.
type Options struct {
	// Project is owner/repository.
	Project string
	// APIURL of GitHub Enterprise, as in https://github.example.com/api/v3/. Default DefaultAPIURL.
	APIURL string
	// Token to make requests with, unless App is set.
	Token string
	// App to make requests as.
	App *App
	// HTTPClient whose transport makes the requests, and that says which redirects are followed. Default http.DefaultClient. Backends with
	// the same API URL and credentials share that of the first, so whoever may not send the credentials there has to be kept from it before.
	HTTPClient *http.Client
	// Interval after which news are asked for. Default DefaultInterval.
	Interval time.Duration
	// TrustedActors are the logins whose deployments and statuses are evidence, besides that of the credentials.
	TrustedActors []string
	// SignatureKey signs what is written. Where it is set, what is not signed with it is no evidence. At least 32 bytes.
	SignatureKey []byte
	// UnsignedActors are trusted, and without a signature.
	UnsignedActors []string
}

var project = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)

// complete checks the options and fills in what has a default.
func (o Options) complete() (Options, error) {
	o.APIURL = strings.TrimSuffix(cmp.Or(o.APIURL, DefaultAPIURL), "/") + "/"
	o.Interval = cmp.Or(max(o.Interval, 0), DefaultInterval)
	o.HTTPClient = cmp.Or(o.HTTPClient, http.DefaultClient)
	switch {
	case !absolute(o.APIURL):
		return o, errors.New("the API URL is none: write one such as https://github.example.com/api/v3/")
	case !project.MatchString(o.Project):
		return o, fmt.Errorf("project %q is not owner/repository", o.Project)
	case o.App == nil && o.Token == "":
		return o, errors.New("there is neither a token nor a GitHub App to ask GitHub with")
	case o.App != nil && !o.App.named():
		return o, errors.New("the ids of the GitHub App and of its installation are positive numbers")
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
	// Budget is how many requests are made with the same credentials in any hour. Default DefaultBudget.
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
