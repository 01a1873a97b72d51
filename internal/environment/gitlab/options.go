package gitlab

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

// DefaultURL is gitlab.com.
const DefaultURL = "https://gitlab.com/"

const movedAdvice = "the project may have moved, or the URL is wrong"

var service = &remote.Service{
	Name: "GitLab", URL: DefaultURL, ExampleURL: "https://gitlab.example.com/",
	Project:       regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`),
	ProjectFormat: "group/project",
	Writes:        func(budget int) []remote.Limit { return []remote.Limit{{Requests: budget / 2, Period: time.Hour}} },
	MaxObject:     1 << 20, RateLimit: rateLimit, Rejections: []int{http.StatusBadRequest, http.StatusUnprocessableEntity},
	Advice: map[int]string{
		http.StatusUnauthorized: "the token is not valid: renew it",
		http.StatusForbidden: "the token needs the scope api and at least the role Developer, snippets have to be enabled " +
			"for " +
			"the project, and a protected environment has to allow the user of the token to deploy",
		http.StatusNotFound:          "check the project, and that the token's user is a member",
		http.StatusMovedPermanently:  movedAdvice,
		http.StatusFound:             movedAdvice,
		http.StatusTemporaryRedirect: movedAdvice,
		http.StatusPermanentRedirect: movedAdvice,
	},
}

// rateLimit reads the rate limit. A 503 with Retry-After is a maintenance, which is a pause as well.
func rateLimit(resp *http.Response, _ []byte) remote.RateLimit {
	maintenance := resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != ""
	return remote.RateLimit{
		Reached:   resp.StatusCode == http.StatusTooManyRequests || maintenance,
		Remaining: -1, Reset: resp.Header.Get("RateLimit-Reset"),
	}
}

// complete validates the options and sets the defaults.
func complete(o remote.Options) (remote.Options, error) {
	if o.Token == "" {
		return o, errors.New("no token is given")
	}
	return o.Complete(service)
}
