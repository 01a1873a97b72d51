package session

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/view"
)

// explain gives an error the hints that help, unless it has some already.
func (s *Session) explain(err error, limit time.Duration) error {
	var known *exit.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case isKindMissing(err):
		return exit.With(exit.Usage, errors.New("this cluster has no Kuberik, or one of another version"),
			"the API server says: "+view.Clean(err.Error()),
			"kubectl get crd rollouts.kuberik.com shows whether it is; --context selects another cluster")
	case exit.Of(err) == exit.TimedOut:
		return exit.With(exit.TimedOut, fmt.Errorf("timed out after %s", limit), "--timeout allows more time")
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return refused(err)
	}
	return s.explainConnection(err)
}

// explainConnection explains an error on the way to the API server.
func (s *Session) explainConnection(err error) error {
	var refusedBy *url.Error
	var dns *net.DNSError
	switch {
	case clientcmd.IsEmptyConfig(err):
		return exit.With(exit.Usage, errors.New("no cluster is configured"),
			"there is no kubeconfig at "+s.kubeconfig()+": set KUBECONFIG or --kubeconfig",
			s.Program+" demo starts a local cluster to try it")
	case clientcmd.IsContextNotFound(err), strings.Contains(err.Error(), "context \"") &&
		strings.Contains(err.Error(), "does not exist"):
		return exit.With(exit.Usage, err, "kubectl config get-contexts lists the contexts")
	case clientcmd.IsConfigurationInvalid(err):
		return exit.With(exit.Usage, err, "kubectl config view shows the kubeconfig, which is "+s.kubeconfig())
	case apierrors.IsUnauthorized(err):
		return exit.With(exit.Usage, errors.New("the API server does not accept your credentials"),
			"log in again; kubectl auth whoami shows who you are")
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &dns):
		host := ""
		if errors.As(err, &refusedBy) {
			if u, parsed := url.Parse(refusedBy.URL); parsed == nil {
				host = " at " + u.Host
			}
		}
		return exit.With(exit.Usage, fmt.Errorf("the API server%s does not answer: %w", host, err),
			"is the cluster up? kubectl config get-contexts lists others, --context selects one")
	case strings.Contains(err.Error(), "x509:"):
		return exit.With(exit.Usage, err, "the kubeconfig has another certificate authority than the API server; was the "+
			"cluster created again?")
	}
	return err
}

// isKindMissing reports whether the API server does not serve the kind at all.
func isKindMissing(err error) bool {
	var status apierrors.APIStatus
	if meta.IsNoMatchError(err) {
		return true
	}
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && slices.ContainsFunc(details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// forbidden matches what the API server answers if RBAC does not grant a right.
var forbidden = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)"` +
	`(?: in the namespace "([^"]*)")?`)

// roleFor names the ClusterRole that grants a right.
func roleFor(verb, resource string, core bool) string {
	reads := verb == "get" || verb == "list" || verb == "watch"
	switch {
	case core:
		return "view"
	case reads:
		return "kuberik-view"
	case resource == "approvals" && verb == "create":
		return "kuberik-approver"
	case resource == "overrides" && verb == "create":
		return "kuberik-break-glass"
	case resource == "rollouts" || resource == "healthchecks":
		return "kuberik-edit"
	}
	return "kuberik-gatekeeper"
}

// refused explains a refusal by RBAC or by admission.
func refused(err error) error {
	if m := forbidden.FindStringSubmatch(err.Error()); m != nil {
		return lacks(m[1], view.Right{Verb: m[2], Group: m[4], Resource: m[3], Namespace: m[5]})
	}
	if _, why, found := strings.Cut(err.Error(), "denied request: "); found {
		policy := ""
		if _, rest, ok := strings.Cut(err.Error(), "ValidatingAdmissionPolicy '"); ok {
			policy, _, _ = strings.Cut(rest, "'")
		}
		return exit.With(exit.Refused, errors.New(view.Clean(why)), "by      the admission policy "+view.Clean(policy))
	}
	return exit.With(exit.Refused, errors.New(view.Clean(err.Error())))
}

// lacks returns the error for a right that a user does not have.
func lacks(user string, r view.Right, hints ...string) error {
	resource, place := r.Resource, "in any namespace"
	if r.Namespace != "" {
		place = "in " + r.Namespace
	}
	if r.Group != "" {
		resource += "." + r.Group
	}
	hint := "right   " + r.Verb + " " + resource
	ours := strings.HasSuffix(r.Group, "kuberik.com")
	if ours || r.Group == "" || r.Group == "batch" {
		hint += ", as in the ClusterRole " + roleFor(r.Verb, r.Resource, !ours)
	}
	err := fmt.Errorf("%s may not %s %s %s", view.Clean(user), r.Verb, r.Resource, place)
	return exit.With(exit.Refused, err, append([]string{hint}, hints...)...)
}
