package all

import (
	"context"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/gitlab"
)

func (b *Backends) gitlab(ctx context.Context, e *environments.Environment) (environment.Backend, error) {
	spec := e.Spec.Backend
	secret, client, err := b.access(ctx, e, "gitlab-token", gitlab.DefaultBaseURL)
	if err != nil {
		return nil, err
	}
	if len(secret.Data[keyToken]) == 0 {
		return nil, refused("Secret %s has no key %s", secret.Name, keyToken)
	}
	o := gitlab.Options{
		Project: spec.Project, BaseURL: spec.APIURL, HTTPClient: client, TrustedActors: spec.TrustedActors, UnsignedActors: spec.UnsignedActors,
		Token: string(secret.Data[keyToken]),
	}
	if o.Interval, err = environment.Interval(e.Spec); err != nil {
		return nil, refused("spec.requeueInterval: %w", err)
	}
	if o.SignatureKey, err = b.signature(ctx, e); err != nil {
		return nil, err
	}
	opened, err := b.GitLab.Backend(o)
	if err != nil {
		return nil, &environment.RefusedError{Err: err}
	}
	return b.patient(opened), nil
}
