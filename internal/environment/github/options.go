package github

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

// DefaultAPIURL is the API of github.com.
const DefaultAPIURL = "https://api.github.com/"

var service = &remote.Service{
	Name: "GitHub", URL: DefaultAPIURL, ExampleURL: "https://github.example.com/api/v3/",
	Project: regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`), ProjectFormat: "owner/repository",
	// GitHub limits requests that create content to about 80 a minute and 500 an hour.
	Writes: func(int) []remote.Limit {
		return []remote.Limit{{Requests: 60, Period: time.Minute}, {Requests: 450, Period: time.Hour}}
	},
	MaxObject: 256 << 10, Uncounted: "payload", RateLimit: rateLimit,
	Rejections: []int{http.StatusConflict, http.StatusUnprocessableEntity},
	Advice: map[int]string{
		http.StatusUnauthorized: "renew the token, or check the ID and the private key of the GitHub App",
		http.StatusForbidden:    "the credentials need read and write access to deployments",
		http.StatusNotFound: "check the project, and that the token or the installation of the GitHub App includes the " +
			"repository",
	},
}

// rateLimit reads the rate limit. GitHub returns 403 for a reached limit as well as for missing permissions.
func rateLimit(resp *http.Response, body []byte) remote.RateLimit {
	limit := remote.RateLimit{Remaining: -1}
	if n, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining")); err == nil {
		limit.Remaining = n
	}
	if limit.Remaining == 0 {
		limit.Reached, limit.Reset = true, resp.Header.Get("X-RateLimit-Reset")
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		limit.Reached = true
	case http.StatusForbidden:
		text := strings.ToLower(string(body))
		limit.Reached = limit.Reached || resp.Header.Get("Retry-After") != "" || strings.Contains(text, "rate limit") ||
			strings.Contains(text, "abuse")
	}
	return limit
}

// App is a GitHub App to authenticate as.
type App struct {
	// ID of the App.
	ID int64
	// Installation is the ID of its installation for the owner of the repository.
	Installation int64
	// PrivateKey in PEM.
	PrivateKey []byte
}

// Options of a Backend.
type Options struct {
	remote.Options
	// App to authenticate as, instead of the token.
	App *App
}

// complete validates the options and sets the defaults.
func (o Options) complete() (Options, error) {
	switch {
	case o.App == nil && o.Token == "":
		return o, errors.New("neither a token nor a GitHub App is given")
	case o.App != nil && (o.App.ID <= 0 || o.App.Installation <= 0):
		return o, errors.New("the IDs of the GitHub App and of its installation have to be positive numbers")
	case o.App != nil:
		o.Token = ""
	}
	var err error
	o.Options, err = o.Options.Complete(service)
	return o, err
}

// credentials returns the token, or what identifies the App.
func (o Options) credentials() string {
	if o.App == nil {
		return o.Token
	}
	return fmt.Sprintf("%d/%d/%s", o.App.ID, o.App.Installation, o.App.PrivateKey)
}
