package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go"
	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// perPage is so many that a page of full records is well below the 4 MiB that our way out reads of an answer.
const perPage = 50

// errGone says that something is no more, or not ours to see.
var errGone = errors.New("GitLab does not know it")

// rejectedError is what GitLab says to what it will not take.
type rejectedError struct{ reason string }

func (e *rejectedError) Error() string { return e.reason }

// account is a token at one GitLab.
type account struct {
	client  *gl.Client
	clock   clock.PassiveClock
	timeout time.Duration
	used    time.Time

	mu   sync.Mutex
	name string
}

func newAccount(who string, o Options, p PoolOptions) (*account, error) {
	base := o.HTTPClient.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, err
	}
	out := &http.Client{Transport: newGuard(base, u.Host, "token-"+who[:8], p), CheckRedirect: o.HTTPClient.CheckRedirect}
	// As a bearer, since that header is not sent on when a redirect leads to another host. What is tried again, and when, is not for the
	// library to say, and its limiter would begin with a request of its own.
	client, err := gl.NewAuthSourceClient(bearer(o.Token), gl.WithBaseURL(o.BaseURL), gl.WithHTTPClient(out),
		gl.WithUserAgent("kuberik/"+buildinfo.Version), gl.WithoutRetries(), gl.WithCustomLimiter(unlimited{}))
	return &account{client: client, clock: p.Clock, timeout: p.Timeout}, err
}

// bearer is a token of any kind.
type bearer string

// Init implements gl.AuthSource.
func (bearer) Init(context.Context, *gl.Client) error { return nil }

// Header implements gl.AuthSource.
func (b bearer) Header(context.Context) (key, value string, err error) {
	return "Authorization", "Bearer " + string(b), nil
}

// unlimited lets everything pass: the guard does not.
type unlimited struct{}

// Wait implements gl.RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// self is the username that the token writes as. It is asked for once.
func (a *account) self(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.name != "" {
		return a.name, nil
	}
	user, _, err := call(ctx, a, "whom the token belongs to", func(o gl.RequestOptionFunc) (*gl.User, *gl.Response, error) {
		return a.client.Users.CurrentUser(o)
	})
	if err != nil {
		return "", known(err, "whom the token belongs to")
	}
	if user.Username == "" {
		return "", refuse("GitLab does not say whom the token belongs to")
	}
	a.name = user.Username
	return a.name, nil
}

// call makes a request in the time that one may take.
func call[T any](ctx context.Context, a *account, what string, ask func(gl.RequestOptionFunc) (T, *gl.Response, error)) (T, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	got, resp, err := ask(gl.WithContext(ctx))
	if err != nil {
		var none T
		return none, 0, explain(err, what)
	}
	return got, resp.NextPage, nil
}

func (in *place) snippets(ctx context.Context, page int64) ([]*gl.Snippet, int64, error) {
	o := &gl.ListProjectSnippetsOptions{ListOptions: gl.ListOptions{Page: page, PerPage: perPage}}
	what := "the snippets of " + in.path
	list, next, err := call(ctx, in.account, what, func(r gl.RequestOptionFunc) ([]*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.ListSnippets(in.path, o, r)
	})
	return list, next, known(err, what)
}

func (in *place) createSnippet(ctx context.Context, title, description string) (*gl.Snippet, error) {
	o := &gl.CreateProjectSnippetOptions{
		Title: &title, Description: &description, Visibility: new(gl.PrivateVisibility),
		Files: &[]*gl.CreateSnippetFileOptions{{FilePath: new("README.md"), Content: new("What Kuberik keeps is in the description of this snippet.\n")}},
	}
	what := "a new snippet in " + in.path
	made, _, err := call(ctx, in.account, what, func(r gl.RequestOptionFunc) (*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.CreateSnippet(in.path, o, r)
	})
	return made, known(err, what)
}

func (in *place) updateSnippet(ctx context.Context, id int64, description string) (*gl.Snippet, error) {
	o := &gl.UpdateProjectSnippetOptions{Description: &description}
	made, _, err := call(ctx, in.account, fmt.Sprintf("snippet %d", id), func(r gl.RequestOptionFunc) (*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.UpdateSnippet(in.path, id, o, r)
	})
	return made, err
}

// deployments reads the newest deployments of an environment.
func (in *place) deployments(ctx context.Context, name string) ([]*gl.Deployment, error) {
	o := &gl.ListProjectDeploymentsOptions{
		ListOptions: gl.ListOptions{PerPage: perPage}, OrderBy: new("id"), Sort: new("desc"), Environment: &name,
	}
	what := "the deployments of " + in.path
	list, _, err := call(ctx, in.account, what, func(r gl.RequestOptionFunc) ([]*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.ListProjectDeployments(in.path, o, r)
	})
	return list, known(err, what)
}

func (in *place) createDeployment(ctx context.Context, name, commit, status string) (*gl.Deployment, error) {
	// The commit is the ref too: nobody knows which branch or tag it was built from, and GitLab takes whatever names a commit.
	o := &gl.CreateProjectDeploymentOptions{
		Environment: &name, SHA: &commit, Ref: &commit, Tag: new(false), Status: new(gl.DeploymentStatusValue(status)),
	}
	what := "a new deployment in " + in.path
	made, _, err := call(ctx, in.account, what, func(r gl.RequestOptionFunc) (*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.CreateProjectDeployment(in.path, o, r)
	})
	return made, known(err, what)
}

func (in *place) updateDeployment(ctx context.Context, id int64, status string) error {
	o := &gl.UpdateProjectDeploymentOptions{Status: new(gl.DeploymentStatusValue(status))}
	_, _, err := call(ctx, in.account, fmt.Sprintf("deployment %d", id), func(r gl.RequestOptionFunc) (*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.UpdateProjectDeployment(in.path, id, o, r)
	})
	return err
}

// link tells GitLab where a person finds an environment.
func (in *place) link(ctx context.Context, name, to string) error {
	what := "environment " + name
	list, _, err := call(ctx, in.account, what, func(r gl.RequestOptionFunc) ([]*gl.Environment, *gl.Response, error) {
		return in.client.Environments.ListEnvironments(in.path, &gl.ListEnvironmentsOptions{Name: &name}, r)
	})
	if err != nil || len(list) == 0 {
		return err
	}
	_, _, err = call(ctx, in.account, what, func(r gl.RequestOptionFunc) (*gl.Environment, *gl.Response, error) {
		return in.client.Environments.EditEnvironment(in.path, list[0].ID, &gl.EditEnvironmentOptions{ExternalURL: &to}, r)
	})
	return err
}

// explain says what an error means. It keeps what the guard said, and quotes of GitLab's words only what can be shown.
func explain(err error, what string) error {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	var answer *gl.ErrorResponse
	switch {
	case errors.As(err, &wait):
		return wait
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, gl.ErrNotFound):
		return errGone
	case !errors.As(err, &answer) || answer.Response == nil:
		return fmt.Errorf("asking GitLab for %s: %w", what, err)
	}
	code, said := answer.Response.StatusCode, cmp.Or(strings.TrimSpace(version.Clean(answer.Message, 200)), "it gives no reason")
	switch code {
	case http.StatusUnauthorized:
		return refuse("GitLab does not accept the token (401): renew it")
	case http.StatusForbidden:
		return refuse(fmt.Sprintf("GitLab refuses %s (403, %s): the token needs the scope api and at least the role Developer, snippets have to "+
			"be enabled for the project, and a protected environment has to let it deploy", what, said))
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return refuse(fmt.Sprintf("GitLab leads elsewhere for %s (%d): the project may have moved, or the URL is wrong", what, code))
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &rejectedError{fmt.Sprintf("GitLab does not take it (%d, %s)", code, said)}
	}
	return fmt.Errorf("asking GitLab for %s: answered %d (%s)", what, code, said)
}

// known is for what has to be there: if it is not, the project or the token is wrong.
func known(err error, what string) error {
	if !errors.Is(err, errGone) {
		return err
	}
	return refuse(fmt.Sprintf("GitLab does not know %s, or does not show it to this token (404): check the project, and that the token's user is a member", what))
}

func refuse(text string) error { return &environment.RefusedError{Err: errors.New(text)} }
