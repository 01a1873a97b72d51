package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gl "gitlab.com/gitlab-org/api/client-go"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

// perPage keeps a page of full records well below the limit of 4 MiB for a response.
const perPage = 50

// call makes a request and returns its error for users. Next is the number of the next page, or 0.
func call[T any](object string, request func() (T, *gl.Response, error)) (result T, next int64, err error) {
	result, resp, err := request()
	if err == nil {
		return result, resp.NextPage, nil
	}
	var response *gl.ErrorResponse
	code, reason := 0, ""
	switch {
	case errors.Is(err, gl.ErrNotFound):
		code = http.StatusNotFound
	case errors.As(err, &response) && response.Response != nil:
		code, reason = response.Response.StatusCode, response.Message
	}
	return result, 0, service.Explain(err, object, code, reason)
}

// callOne makes a request about one object. A 404 means that the object is missing, not the project.
func callOne[T any](object string, request func() (T, *gl.Response, error)) (T, error) {
	result, _, err := call(object, func() (T, *gl.Response, error) {
		result, resp, err := request()
		if errors.Is(err, gl.ErrNotFound) {
			err = remote.ErrGone
		}
		return result, resp, err
	})
	return result, err
}

func (in *project) snippets(ctx context.Context, page int64) ([]*gl.Snippet, int64, error) {
	o := &gl.ListProjectSnippetsOptions{ListOptions: gl.ListOptions{Page: page, PerPage: perPage}}
	return call("the snippets of "+in.Path, func() ([]*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.ListSnippets(in.Path, o, gl.WithContext(ctx))
	})
}

func (in *project) createSnippet(ctx context.Context, title, description string) (*gl.Snippet, error) {
	o := &gl.CreateProjectSnippetOptions{
		Title: &title, Description: &description, Visibility: new(gl.PrivateVisibility),
		Files: &[]*gl.CreateSnippetFileOptions{
			{FilePath: new("README.md"), Content: new("The description of this snippet holds the records of Kuberik.\n")},
		},
	}
	made, _, err := call("a new snippet in "+in.Path, func() (*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.CreateSnippet(in.Path, o, gl.WithContext(ctx))
	})
	return made, err
}

func (in *project) updateSnippet(ctx context.Context, id int64, description string) (*gl.Snippet, error) {
	o := &gl.UpdateProjectSnippetOptions{Description: &description}
	return callOne(fmt.Sprintf("snippet %d", id), func() (*gl.Snippet, *gl.Response, error) {
		return in.client.ProjectSnippets.UpdateSnippet(in.Path, id, o, gl.WithContext(ctx))
	})
}

// deployments reads the newest deployments of an environment.
func (in *project) deployments(ctx context.Context, name string) ([]*gl.Deployment, error) {
	o := &gl.ListProjectDeploymentsOptions{
		ListOptions: gl.ListOptions{PerPage: perPage}, OrderBy: new("id"), Sort: new("desc"), Environment: &name,
	}
	list, _, err := call("the deployments of "+in.Path, func() ([]*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.ListProjectDeployments(in.Path, o, gl.WithContext(ctx))
	})
	return list, err
}

func (in *project) createDeployment(ctx context.Context, name, commit, status string) (*gl.Deployment, error) {
	// The branch or tag is not known, so the commit is the ref too.
	o := &gl.CreateProjectDeploymentOptions{
		Environment: &name, SHA: &commit, Ref: &commit, Tag: new(false), Status: new(gl.DeploymentStatusValue(status)),
	}
	made, _, err := call("a new deployment in "+in.Path, func() (*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.CreateProjectDeployment(in.Path, o, gl.WithContext(ctx))
	})
	return made, err
}

func (in *project) updateDeployment(ctx context.Context, id int64, status string) error {
	o := &gl.UpdateProjectDeploymentOptions{Status: new(gl.DeploymentStatusValue(status))}
	_, err := callOne(fmt.Sprintf("deployment %d", id), func() (*gl.Deployment, *gl.Response, error) {
		return in.client.Deployments.UpdateProjectDeployment(in.Path, id, o, gl.WithContext(ctx))
	})
	return err
}

// setURL sets the URL of an environment, for people.
func (in *project) setURL(ctx context.Context, name, url string) error {
	object := "environment " + name
	list, err := callOne(object, func() ([]*gl.Environment, *gl.Response, error) {
		return in.client.Environments.ListEnvironments(in.Path, &gl.ListEnvironmentsOptions{Name: &name}, gl.WithContext(ctx))
	})
	if err != nil || len(list) == 0 {
		return err
	}
	_, err = callOne(object, func() (*gl.Environment, *gl.Response, error) {
		return in.client.Environments.EditEnvironment(
			in.Path, list[0].ID, &gl.EditEnvironmentOptions{ExternalURL: &url}, gl.WithContext(ctx),
		)
	})
	return err
}
