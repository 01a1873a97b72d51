package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v92/github"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// perPage is how many deployments are asked for at once, and shortestPage how many at the least where they are long.
const perPage, shortestPage = 100, 10

// errGone says that a deployment is no more.
var errGone = errors.New("the deployment is gone")

// rejectedError is what GitHub says to what it will not take.
type rejectedError struct{ reason string }

func (e *rejectedError) Error() string { return e.reason }

// api are the calls that we make about one repository.
type api struct {
	*account
	owner, name string
}

func newAPI(a *account, project string) api {
	owner, name, _ := strings.Cut(project, "/")
	return api{account: a, owner: owner, name: name}
}

// position is how far a list of deployments was read.
type position struct {
	// read is how many were, and size how many to ask for next; 0 for as many as there may be.
	read, size int
	// at is when that was.
	at time.Time
}

// page reads the deployments of the repository at a position, and moves it on. Those whose page is too long come in smaller ones. It says
// whether there are more.
func (a api) page(ctx context.Context, o gh.DeploymentsListOptions, from *position) (list []*gh.Deployment, more bool, err error) {
	for {
		size := cmp.Or(from.size, perPage)
		// Where the size has changed, some are read again, and none is left out.
		number := from.read/size + 1
		list, next, err := a.list(ctx, o, gh.ListOptions{PerPage: size, Page: number})
		if errors.Is(err, errTooLong) && size > shortestPage {
			from.size = max(size/2, shortestPage)
			continue
		}
		if err != nil {
			return nil, false, err
		}
		from.read, from.size = number*size, min(2*size, perPage)
		return list, next > 0, nil
	}
}

// list reads one page of the repository's deployments. Next is the number of the next one, or 0.
func (a api) list(ctx context.Context, o gh.DeploymentsListOptions, page gh.ListOptions) (list []*gh.Deployment, next int, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	o.ListOptions = page
	list, resp, err := a.client.Repositories.ListDeployments(ctx, a.owner, a.name, &o)
	if err != nil {
		return nil, 0, explain(err, "the deployments of "+a.owner+"/"+a.name)
	}
	return list, resp.NextPage, nil
}

// statuses reads the newest statuses of a deployment, at most a page of them, and fewer if that is too long.
func (a api) statuses(ctx context.Context, deployment int64) ([]*gh.DeploymentStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	list, _, err := a.client.Repositories.ListDeploymentStatuses(ctx, a.owner, a.name, deployment, &gh.ListOptions{PerPage: perPage})
	if errors.Is(err, errTooLong) {
		list, _, err = a.client.Repositories.ListDeploymentStatuses(ctx, a.owner, a.name, deployment, &gh.ListOptions{PerPage: shortestPage})
	}
	if err != nil {
		return nil, about(err, deployment)
	}
	return list, nil
}

func (a api) create(ctx context.Context, r gh.DeploymentRequest) (*gh.Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	d, _, err := a.client.Repositories.CreateDeployment(ctx, a.owner, a.name, r)
	if err != nil {
		return nil, explain(err, "the deployments of "+a.owner+"/"+a.name)
	}
	return d, nil
}

func (a api) say(ctx context.Context, deployment int64, r gh.DeploymentStatusRequest) (*gh.DeploymentStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	s, _, err := a.client.Repositories.CreateDeploymentStatus(ctx, a.owner, a.name, deployment, r)
	if err != nil {
		return nil, about(err, deployment)
	}
	return s, nil
}

// about explains an error about one deployment: that it cannot be found does not say that the repository cannot.
func about(err error, deployment int64) error {
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response.StatusCode == http.StatusNotFound {
		return errGone
	}
	return explain(err, fmt.Sprintf("deployment %d", deployment))
}

// explain says what an error means. It keeps what the guard said, and quotes of GitHub's words only what can be shown.
func explain(err error, what string) error {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	switch {
	case errors.As(err, &wait):
		return wait
	case errors.As(err, &refused):
		return refused
	}
	var noToken *ghinstallation.HTTPError
	if errors.As(err, &noToken) && noToken.Response != nil {
		noToken.Response.Body.Close()
		if code := noToken.Response.StatusCode; code < http.StatusInternalServerError {
			return refuse(fmt.Sprintf("GitHub gives no token for the installation (%d): check the ids and the private key of the GitHub App, and "+
				"that it has read and write access to deployments", code))
		}
	}
	code, said := answered(err)
	switch code {
	case 0:
		return fmt.Errorf("asking GitHub for %s: %w", what, err)
	case http.StatusUnauthorized:
		return refuse("GitHub does not accept the credentials (401): renew the token, or check the id and the private key of the GitHub App")
	case http.StatusForbidden:
		return refuse(fmt.Sprintf("GitHub refuses %s (403, %s): the credentials need read and write access to deployments", what, said))
	case http.StatusNotFound:
		return refuse(fmt.Sprintf("GitHub does not know %s, or does not show it to these credentials (404): check the project, and that "+
			"the token or the GitHub App's installation includes the repository", what))
	case http.StatusUnprocessableEntity, http.StatusConflict:
		return &rejectedError{fmt.Sprintf("GitHub does not take it (%d, %s)", code, said)}
	}
	return fmt.Errorf("asking GitHub for %s: answered %d (%s)", what, code, said)
}

func refuse(text string) error { return &environment.RefusedError{Err: errors.New(text)} }

// answered finds the status code of an error, and what GitHub said; 0 if it said nothing.
func answered(err error) (int, string) {
	var answer *gh.ErrorResponse
	var accepted *gh.AcceptedError
	switch {
	case errors.As(err, &answer):
		said := []string{answer.Message}
		for _, e := range answer.Errors {
			said = append(said, e.Message)
		}
		return answer.Response.StatusCode, quote(strings.Join(said, " "))
	case errors.As(err, &accepted):
		return http.StatusAccepted, "merges something first"
	}
	return 0, ""
}

func quote(s string) string {
	if s = strings.TrimSpace(version.Clean(s, 200)); s == "" {
		return "it gives no reason"
	}
	return s
}

func stamp(t *gh.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
