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

	"github.com/kuberik/kuberik/internal/environment/remote"
)

// perPage is the size of a page. If a page is too long, it is halved down to minPage.
const perPage, minPage = 100, 10

// api calls the API for one repository.
type api struct {
	*account
	client      *gh.Client
	responses   *cache
	owner, name string
}

func newAPI(a *account, o Options) (api, error) {
	responses := newCache(a.authenticated)
	client, err := newClient(o, responses)
	owner, name, _ := strings.Cut(o.Project, "/")
	return api{account: a, client: client, responses: responses, owner: owner, name: name}, err
}

// position is a position in a list of deployments.
type position struct {
	// read is the number of deployments before the position, and size the size of the next page; 0 is the maximum.
	read, size int
	// at is when the last page was read.
	at time.Time
}

// page reads the deployments of the repository at a position, advances it, and reports whether there are more. It reads
// smaller pages if one is too long.
func (a api) page(
	ctx context.Context, o gh.DeploymentsListOptions, from *position,
) (list []*gh.Deployment, more bool, err error) {
	for {
		size := cmp.Or(from.size, perPage)
		// If the size has changed, some deployments are read again, but none is skipped.
		number := from.read/size + 1
		list, next, err := a.list(ctx, o, gh.ListOptions{PerPage: size, Page: number})
		if errors.Is(err, remote.ErrTooLong) && size > minPage {
			from.size = max(size/2, minPage)
			continue
		}
		if err != nil {
			return nil, false, err
		}
		from.read, from.size = number*size, min(2*size, perPage)
		return list, next > 0, nil
	}
}

// list reads one page of deployments. Next is the number of the next page, or 0 after the last one.
func (a api) list(
	ctx context.Context, o gh.DeploymentsListOptions, page gh.ListOptions,
) (list []*gh.Deployment, next int, err error) {
	o.ListOptions = page
	list, resp, err := a.client.Repositories.ListDeployments(ctx, a.owner, a.name, &o)
	if err != nil {
		return nil, 0, explain(err, "the deployments of "+a.owner+"/"+a.name)
	}
	return list, resp.NextPage, nil
}

// listStatuses reads the newest page of a deployment's statuses, or a smaller one if that is too long.
func (a api) listStatuses(ctx context.Context, deployment int64) ([]*gh.DeploymentStatus, error) {
	list, _, err := a.client.Repositories.ListDeploymentStatuses(
		ctx, a.owner, a.name, deployment, &gh.ListOptions{PerPage: perPage},
	)
	if errors.Is(err, remote.ErrTooLong) {
		list, _, err = a.client.Repositories.ListDeploymentStatuses(
			ctx, a.owner, a.name, deployment, &gh.ListOptions{PerPage: minPage},
		)
	}
	if err != nil {
		return nil, explainOne(err, deployment)
	}
	return list, nil
}

func (a api) createDeployment(ctx context.Context, r gh.DeploymentRequest) (*gh.Deployment, error) {
	d, _, err := a.client.Repositories.CreateDeployment(ctx, a.owner, a.name, r)
	if err != nil {
		return nil, explain(err, "the deployments of "+a.owner+"/"+a.name)
	}
	return d, nil
}

func (a api) createStatus(
	ctx context.Context, deployment int64, r gh.DeploymentStatusRequest,
) (*gh.DeploymentStatus, error) {
	s, _, err := a.client.Repositories.CreateDeploymentStatus(ctx, a.owner, a.name, deployment, r)
	if err != nil {
		return nil, explainOne(err, deployment)
	}
	return s, nil
}

// explainOne returns an error about one deployment for users. A 404 means that the deployment is missing, not the
// repository.
func explainOne(err error, deployment int64) error {
	if code, _ := responseStatus(err); code == http.StatusNotFound {
		return remote.ErrGone
	}
	return explain(err, fmt.Sprintf("deployment %d", deployment))
}

// explain returns an error for users.
func explain(err error, object string) error {
	var tokenErr *ghinstallation.HTTPError
	if errors.As(err, &tokenErr) && tokenErr.Response != nil {
		tokenErr.Response.Body.Close()
		if code := tokenErr.Response.StatusCode; code < http.StatusInternalServerError {
			return remote.Refused(
				"GitHub issues no token for the installation (%d): check the IDs and the private key of the GitHub App, and "+
					"that it has read and write access to deployments",
				code,
			)
		}
	}
	code, reason := responseStatus(err)
	return service.Explain(err, object, code, reason)
}

// responseStatus returns the status code of an error, 0 if there was no response, and the reason that GitHub gave.
func responseStatus(err error) (int, string) {
	var response *gh.ErrorResponse
	var accepted *gh.AcceptedError
	switch {
	case errors.As(err, &response):
		reasons := []string{response.Message}
		for _, e := range response.Errors {
			reasons = append(reasons, e.Message)
		}
		return response.Response.StatusCode, strings.Join(reasons, " ")
	case errors.As(err, &accepted):
		return http.StatusAccepted, "it merges something first"
	}
	return 0, ""
}

func timeOf(t *gh.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
