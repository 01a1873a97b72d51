package session

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/view"
)

// Facts reads what an answer about a target is made of, and which rights the user has. What the user may not read is
// left out; unread names it.
func (s *Session) Facts(ctx context.Context, t *Target) (facts view.Facts, unread []string, err error) {
	c, err := s.Client()
	if err != nil {
		return facts, nil, err
	}
	facts = view.Facts{Rollout: t.Rollout, Releases: t.Releases, Clock: s.Clock(), Program: s.Program, Has: s.Has}
	var gates v1alpha1.RolloutGateList
	var approvals v1alpha1.ApprovalList
	var places environments.EnvironmentList
	var mu sync.Mutex
	group, inner := errgroup.WithContext(ctx)
	for what, list := range map[string]client.ObjectList{"gates": &gates, "approvals": &approvals,
		"environments": &places} {
		group.Go(func() error {
			readable, err := s.optional(c.List(inner, list, client.InNamespace(t.Rollout.Namespace)))
			if !readable {
				mu.Lock()
				unread = append(unread, what)
				mu.Unlock()
			}
			return err
		})
	}
	group.Go(func() (err error) {
		facts.You, err = s.Whoami(inner)
		return err
	})
	if err := group.Wait(); err != nil {
		return facts, nil, err
	}
	for i := range gates.Items {
		if gates.Items[i].Spec.RolloutRef.Name == t.Rollout.Name {
			facts.Gates = append(facts.Gates, gates.Items[i])
		}
	}
	facts.Approvals, facts.Environments = approvals.Items, places.Items
	facts.May, err = s.May(ctx, facts.Rights())
	return facts, unread, err
}

// optional turns the error of a read that the user may lack the right for into whether it was readable.
func (*Session) optional(err error) (readable bool, other error) {
	if apierrors.IsForbidden(err) || isKindMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// Whoami returns the user, as the API server knows them.
func (s *Session) Whoami(ctx context.Context) (view.Person, error) {
	c, err := s.Client()
	if err != nil {
		return view.Person{}, err
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return view.Person{}, err
	}
	return view.Person{User: review.Status.UserInfo.Username, Groups: review.Status.UserInfo.Groups}, nil
}

// Require returns an error if the user lacks a right. The API server refuses the request in any case; this refuses it
// before a person is shown what it would do.
func (s *Session) Require(ctx context.Context, right view.Right, hints ...string) error {
	may, err := s.May(ctx, []view.Right{right})
	if err != nil || may[right] {
		return err
	}
	you, err := s.Whoami(ctx)
	if err != nil {
		return err
	}
	return lacks(you.User, right, hints...)
}

// May asks the API server which of several rights the user has.
func (s *Session) May(ctx context.Context, rights []view.Right) (map[view.Right]bool, error) {
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	allowed := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range rights {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: r.Verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name,
				},
			}}
			err := c.Create(ctx, review)
			allowed[i] = review.Status.Allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	may := make(map[view.Right]bool, len(rights))
	for i, r := range rights {
		may[r] = allowed[i]
	}
	return may, nil
}
