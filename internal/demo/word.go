package demo

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// word is what somebody says of a release in production, be it in their own name or in that of somebody else.
type word struct {
	// by is who says it.
	by string
	// user is in whose name it is said.
	user string
	// tag of the release.
	tag string
	// release is the name of the Release, and uid its uid: without it, what is said in the second in which it was created does not count.
	release, uid string
}

// name of the Approval: saying the same once more makes no second one.
func (w word) name() string { return w.by + "-" + w.tag }

// approval is the object that says it.
func (w word) approval() *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: production, Name: w.name()},
		Spec:       v1alpha1.ApprovalSpec{ReleaseName: w.release, ReleaseUID: w.uid, Decision: v1alpha1.Approve, User: w.user},
	}
}

// command says it by hand. The text is in double quotes, so that a shell takes it as one where it is broken with \, and has several
// lines, since kubectl takes for JSON what begins with a brace.
func (w word) command() string {
	return fmt.Sprintf(`printf "apiVersion: %s\nkind: Approval\nmetadata: {name: %s, namespace: %s}\n`+
		`spec: {releaseName: %s, decision: %s, user: %s}" | kubectl --as %s create -f -`,
		v1alpha1.GroupVersion, w.name(), production, w.release, v1alpha1.Approve, w.user, w.by)
}

// refusal is why the API server did not let somebody say something, in the words of the policy that proves who people are. Whatever else
// came of it is an error.
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
