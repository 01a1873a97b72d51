package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Reasons of the condition Counted, besides those of internal/gate.
const (
	// reasonNoRelease means that the Release does not exist. To do: name an existing one; kubectl get rel lists them.
	reasonNoRelease = "ReleaseNotFound"
	// reasonOtherRelease means that the Release was created again under the same name. To do: create another Approval.
	reasonOtherRelease = "OtherRelease"
	// reasonNoRollout means that the Rollout of the Release does not exist any more.
	reasonNoRollout = "RolloutNotFound"
	// reasonNoGate means that the Rollout has no manual gate with the name. To do: create another Approval.
	reasonNoGate = "GateNotFound"
	// reasonTooLate means that the release waits at no gate any more.
	reasonTooLate = "TooLate"
)

const (
	// maxNames is how many Releases of a tag, and how many gates, a message names.
	maxNames = 5
	// maxMessage is the length of a message in bytes.
	maxMessage = 1024
)

// result is what the condition Counted of one Approval or Override says.
type result struct {
	counted         bool
	reason, message string
	// until is when the result changes by itself; zero if never.
	until time.Time
	// final is true if the release does not wait any more.
	final bool
	// another is true if the spec, which cannot be changed, has a mistake.
	another bool
}

func notCounted(reason, format string, args ...any) result {
	return result{reason: reason, message: fmt.Sprintf(format, args...)}
}

// mistaken returns the result for a spec that has a mistake.
func mistaken(reason, format string, args ...any) result {
	r := notCounted(reason, format, args...)
	r.another = true
	return r
}

func (r result) condition(kind string, generation int64) metav1.Condition {
	if r.another {
		r.message += "; delete this " + kind + " and create another"
	}
	c := metav1.Condition{
		Type: v1alpha1.ConditionCounted, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: r.reason, Message: version.Clean(r.message, maxMessage),
	}
	if r.counted {
		c.Status = metav1.ConditionTrue
	}
	return c
}

// input is what the results of the Approvals and Overrides of one Release depend on.
type input struct {
	// forAll is the result of all of them; nil if it depends on each.
	forAll  *result
	rel     *v1alpha1.Release
	ro      *v1alpha1.Rollout
	gates   []*v1alpha1.RolloutGate
	context gate.Context
	// overrides are those of the Release.
	overrides []release.Override
}

// read reads the Release, its Rollout, the gates, and the Approvals and Overrides of the Release.
func (c *Controller) read(ctx context.Context, key client.ObjectKey) (*input, error) {
	in := &input{rel: &v1alpha1.Release{}, ro: &v1alpha1.Rollout{}}
	if err := c.client.Get(ctx, key, in.rel); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Release %q: %w", key, err)
	} else if err != nil {
		in.forAll, err = c.noRelease(ctx, key)
		return in, err
	}
	rollout := client.ObjectKey{Namespace: key.Namespace, Name: in.rel.Spec.RolloutRef.Name}
	err := c.client.Get(ctx, rollout, in.ro)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Rollout %q: %w", rollout, err)
	}
	if apierrors.IsNotFound(err) || !metav1.IsControlledBy(in.rel, in.ro) {
		none := notCounted(reasonNoRollout, "Rollout %s of Release %s does not exist any more", rollout.Name, key.Name)
		in.forAll = &none
		return in, nil
	}
	if in.gates, err = c.gates(ctx, in.ro); err != nil {
		return nil, err
	}
	return in, c.readStatements(ctx, in)
}

// noRelease returns the result for a Release that does not exist. If the name is a tag, the message names its Releases.
func (c *Controller) noRelease(ctx context.Context, key client.ObjectKey) (*result, error) {
	var list v1alpha1.ReleaseList
	if err := c.client.List(ctx, &list, client.InNamespace(key.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Releases: %w", err)
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].Spec.Version.Tag == key.Name {
			names = append(names, list.Items[i].Name)
		}
	}
	hint := "kubectl get rel -n " + key.Namespace + " lists those that exist"
	if len(names) > 0 {
		hint = "the tag " + key.Name + " belongs to Release " + first(names)
	}
	none := mistaken(reasonNoRelease, "no Release %s exists in namespace %s: %s", key.Name, key.Namespace, hint)
	return &none, nil
}

// first lists the first names in order.
func first(names []string) string {
	slices.Sort(names)
	return strings.Join(names[:min(len(names), maxNames)], ", ")
}

// gates lists the gates of a Rollout by name.
func (c *Controller) gates(ctx context.Context, ro *v1alpha1.Rollout) ([]*v1alpha1.RolloutGate, error) {
	var list v1alpha1.RolloutGateList
	err := c.client.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name})
	if err != nil {
		return nil, fmt.Errorf("listing RolloutGates: %w", err)
	}
	gates := make([]*v1alpha1.RolloutGate, len(list.Items))
	for i := range list.Items {
		gates[i] = &list.Items[i]
	}
	slices.SortFunc(gates, func(a, b *v1alpha1.RolloutGate) int { return strings.Compare(a.Name, b.Name) })
	return gates, nil
}

// readStatements reads the Approvals, the Overrides and the authors of a Release.
func (c *Controller) readStatements(ctx context.Context, in *input) error {
	said, err := c.reader.Read(ctx, in.ro, []*v1alpha1.Release{in.rel})
	if err != nil {
		return err
	}
	in.overrides = said.Overrides
	in.context = gate.Context{
		Now: c.clock.Now(), Approvals: said.Approvals, UnverifiedReason: said.UnverifiedReason,
		Authors: func(v1alpha1.ReleaseIdentity) (string, bool) {
			if in.rel.Status.Details == nil {
				return "", false
			}
			return in.rel.Status.Details.Authors, true
		},
	}
	return nil
}

// evaluate returns the result for one Approval.
func (in *input) evaluate(a *v1alpha1.Approval) result {
	if in.forAll != nil {
		return *in.forAll
	}
	if why := approval.Mismatch(kindApproval, a, a.Spec.ReleaseRef.UID, in.rel); why != "" {
		return notCounted(reasonOtherRelease, "%s", why)
	}
	gates, none := in.manualGates(a.Spec.GateName())
	if none != nil {
		return *none
	}
	i := slices.IndexFunc(in.context.Approvals, func(o gate.Approval) bool { return o.Name == a.Name })
	if i < 0 { // it is being deleted, or was created after the others were listed
		return notCounted(gate.ReasonNotCounted, "the gates of Rollout %s have not read the Approval yet", in.ro.Name)
	}
	return in.settle(in.count(gates, in.context.Approvals[i]), a.CreationTimestamp)
}

// settle makes a result final if the release does not wait any more. What was not counted until then, or was created
// after the deployment, is too late.
func (in *input) settle(r result, created metav1.Time) result {
	if r.final = !in.waits(); !r.final {
		return r
	}
	deployed := in.rel.Status.DeployedAt
	if !r.counted || deployed != nil && created.After(deployed.Time) {
		r = notCounted(reasonTooLate, "Release %s is %s and waits at no gate", in.rel.Name, in.rel.Status.Phase)
		r.final = true
	}
	return r
}

// manualGates lists the manual gates that an Approval is for: the one it names, or all. If there are none, it returns
// the result.
func (in *input) manualGates(name string) ([]*v1alpha1.RolloutGate, *result) {
	var manual []*v1alpha1.RolloutGate
	var names []string
	for _, g := range in.gates {
		if gate.Class(g) == v1alpha1.GateClassManual {
			manual, names = append(manual, g), append(names, g.Name)
		} else if g.Name == name {
			other := mistaken(reasonNoGate, "RolloutGate %s is of class %s, and only manual gates count Approvals", name,
				gate.Class(g))
			return nil, &other
		}
	}
	var none result
	switch i := slices.Index(names, name); {
	case len(names) == 0:
		none = notCounted(reasonNoGate, "Rollout %s has no manual gate, and only manual gates count Approvals", in.ro.Name)
	case name == "":
		return manual, nil
	case i < 0:
		none = mistaken(reasonNoGate, "Rollout %s has no gate %s; its manual gates are %s", in.ro.Name, name, first(names))
	default:
		return manual[i : i+1], nil
	}
	return nil, &none
}

// count returns which of the gates count an Approval. The Approval is counted if one gate counts it.
func (in *input) count(gates []*v1alpha1.RolloutGate, a gate.Approval) result {
	var sum result
	var by, messages []string
	for _, g := range gates {
		r := gate.CountApproval(g, a, in.context)
		if !r.Counted {
			messages = append(messages, "RolloutGate "+g.Name+" does not count it: "+r.Message)
			if sum.reason == "" {
				sum.reason = r.Reason
			}
			continue
		}
		sum.counted, by = true, append(by, g.Name)
		if sum.until.IsZero() || !r.Until.IsZero() && r.Until.Before(sum.until) {
			sum.until = r.Until
		}
	}
	if sum.counted {
		sum.reason = gate.ReasonCounted
		messages = append([]string{"counted by RolloutGate " + strings.Join(by, ", ")}, messages...)
	}
	sum.message = strings.Join(messages, "; ")
	return sum
}

// waits reports whether the release waits to be deployed, or gates may still hold it.
func (in *input) waits() bool {
	id := version.Identity(in.rel.Spec.Version)
	is := func(v v1alpha1.VersionInfo) bool { return version.Identity(v) == id }
	if e := release.Gated(in.ro); e != nil && is(e.Version) {
		return true
	}
	return slices.ContainsFunc(in.ro.Status.ReleaseCandidates, is)
}
