package demo

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// attempt is an attempt to approve a release in production, in one's own name or in that of another user.
type attempt struct {
	// by is the user that creates the Approval.
	by string
	// user is the user that the Approval names.
	user string
	// tag of the release.
	tag string
	// release is the name of the Release, and uid its uid: without it, an Approval from the second in which it was
	// created does not count.
	release, uid string
}

// name of the Approval. Approving twice creates no second one.
func (w attempt) name() string { return w.by + "-" + w.tag }

// approval returns the object to create.
func (w attempt) approval() *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: production, Name: w.name()},
		Spec: v1alpha1.ApprovalSpec{
			ReleaseRef: v1alpha1.ReleaseReference{Name: w.release, UID: w.uid}, Decision: v1alpha1.Approve, User: w.user,
		},
	}
}

// command returns a shell command that does the same. The text is in double quotes so that it can be broken with a
// backslash, and has several lines because kubectl takes text that begins with a brace for JSON.
func (w attempt) command() string {
	return fmt.Sprintf(`printf "apiVersion: %s\nkind: Approval\nmetadata: {name: %s, namespace: %s}\n`+
		`spec: {releaseRef: {name: %s}, decision: %s, user: %s}" | kubectl --as %s create -f -`,
		v1alpha1.GroupVersion, w.name(), production, w.release, v1alpha1.Approve, w.user, w.by)
}

// refusal returns the message with which the admission policy denied an Approval. Any other outcome is an error.
func refusal(err error) (string, error) {
	const policy = "ValidatingAdmissionPolicy 'kuberik-actors'"
	switch {
	case err == nil:
		return "", errors.New("the API server let it pass")
	case !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), policy):
		return "", err
	}
	_, why, _ := strings.Cut(err.Error(), "denied request: ")
	return why, nil
}
