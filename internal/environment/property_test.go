package environment_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

// cases is the number of random cases on which a property is tested.
const cases = 5000

func choose[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// randomCase rollbacks a snapshot of up to five environments, requirements, and a version to evaluate.
func randomCase(r *rand.Rand) (environment.Snapshot, environment.Requirements, v1alpha1.VersionInfo) {
	randomVersion := func() v1alpha1.VersionInfo {
		return version(choose(r, "1", "2"), choose(r, "", "a", "a", "b"), choose(r, "", "r", "r", "s"))
	}
	names := []string{"a", "b", "c", "d", "e"}
	n := environment.Snapshot{At: noon.Add(-time.Duration(r.IntN(30)) * time.Minute)}
	for _, name := range names[:1+r.IntN(len(names))] {
		s := state(name)
		for i := range r.IntN(6) {
			d := available(
				randomVersion(),
				withState(
					choose(
						r, v1alpha1.BakeSucceeded, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying,
						v1alpha1.BakeInProgress, v1alpha1.BakeCancelled, "",
					),
				),
			)
			d.At = noon.Add(-time.Duration(i) * time.Minute)
			if r.IntN(3) > 0 && d.State == v1alpha1.BakeSucceeded {
				d.AvailableSince = d.At
			}
			if r.IntN(15) == 0 {
				quarantined(&d)
			}
			if r.IntN(3) == 0 {
				untrusted(&d)
			}
			s.Deployments = append(s.Deployments, d)
		}
		n.Environments = append(n.Environments, s)
	}
	q := environment.Requirements{Now: noon, MaxAge: choose(r, 0, 0, 10*time.Minute)}
	for range 1 + r.IntN(2) {
		q.Upstreams = append(
			q.Upstreams, environment.Upstream{Environment: choose(r, names...), MinAvailableFor: choose(r, 0, 0, 3*time.Minute)},
		)
	}
	return n, q, randomVersion()
}

// forAllCases tests a property on random cases, and reports the seed of one that violates it.
func forAllCases(
	t *testing.T, check func(*rand.Rand, environment.Snapshot, environment.Requirements, v1alpha1.VersionInfo) string,
) {
	t.Helper()
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 0))
		n, q, v := randomCase(r)
		if violation := check(r, n, q, v); violation != "" {
			t.Fatalf("seed %d: %s\nversion %+v, requirements %+v\nsnapshot %+v", seed, violation, v, q, n)
		}
	}
}

// TestUntrustedDeploymentsChangeNothing: the result is the same without the untrusted deployments.
func TestUntrustedDeploymentsChangeNothing(t *testing.T) {
	t.Parallel()
	opened := 0
	forAllCases(t, func(_ *rand.Rand, n environment.Snapshot, q environment.Requirements, v v1alpha1.VersionInfo) string {
		trusted := environment.Snapshot{At: n.At}
		for _, s := range n.Environments {
			s.Deployments = slices.DeleteFunc(
				slices.Clone(s.Deployments), func(d environment.Deployment) bool { return d.UntrustedReason != "" },
			)
			trusted.Environments = append(trusted.Environments, s)
		}
		with, without := n.Evaluate(q, v), trusted.Evaluate(q, v)
		if without.State == open {
			opened++
		}
		if with.State != without.State {
			return fmt.Sprintf(
				"untrusted deployments turn %s (%s) into %s (%s)", without.State, without.Reason, with.State, with.Reason,
			)
		}
		return ""
	})
	if opened < cases/50 {
		t.Errorf("only %d of %d cases were open", opened, cases)
	}
}

// TestOpenNeedsEvidence evaluates the deployments independently of the package.
func TestOpenNeedsEvidence(t *testing.T) {
	t.Parallel()
	same := func(a, b v1alpha1.VersionInfo) bool {
		if a.Digest != "" && b.Digest != "" {
			return a.Digest == b.Digest
		}
		return a.Revision != nil && b.Revision != nil && *a.Revision == *b.Revision
	}
	forAllCases(t, func(_ *rand.Rand, n environment.Snapshot, q environment.Requirements, v v1alpha1.VersionInfo) string {
		a := n.Evaluate(q, v)
		if a.State != open {
			return ""
		}
		if q.MaxAge > 0 && (!n.At.Add(q.MaxAge).After(noon) || !a.Until.Equal(n.At.Add(q.MaxAge))) {
			return "it uses a snapshot that is too old, or is open for too long"
		}
		for _, u := range q.Upstreams {
			s, _ := n.Find(u.Environment)
			evidence := slices.ContainsFunc(s.Deployments, func(d environment.Deployment) bool {
				return d.UntrustedReason == "" && d.State == v1alpha1.BakeSucceeded && same(d.Version, v) &&
					wasAvailableFor(s, d, u.MinAvailableFor)
			})
			bad := slices.ContainsFunc(s.Deployments, func(d environment.Deployment) bool {
				return d.UntrustedReason == "" && d.Quarantine != "" && same(d.Version, v)
			})
			if !evidence || bad {
				return "it opens without evidence in " + u.Environment
			}
		}
		return ""
	})
}

// wasAvailableFor reports whether a deployment was Available for a duration until it was replaced, or until now.
func wasAvailableFor(s environment.State, d environment.Deployment, atLeast time.Duration) bool {
	end := noon
	for _, other := range s.Deployments {
		if other.UntrustedReason == "" && other.At.After(d.At) && other.At.Before(end) {
			end = other.At
		}
	}
	return atLeast == 0 || !d.AvailableSince.IsZero() && end.Sub(d.AvailableSince) >= atLeast
}

// TestRollbackCountsUntilAvailableAgain: after a rollback, only another deployment of the release itself opens the gate
// again.
func TestRollbackCountsUntilAvailableAgain(t *testing.T) {
	t.Parallel()
	rollbacks, before, bad := 0, version("0", "before", ""), version("9", "bad", "")
	forAllCases(t, func(r *rand.Rand, n environment.Snapshot, q environment.Requirements, _ v1alpha1.VersionInfo) string {
		s := state(q.Upstreams[0].Environment)
		add := func(v v1alpha1.VersionInfo, state v1alpha1.BakeStatus) {
			d := available(v, withState(state), withID(int64(len(s.Deployments)+1)))
			d.At = noon.Add(time.Duration(len(s.Deployments)-60) * time.Minute)
			if state == v1alpha1.BakeSucceeded {
				d.AvailableSince = d.At
			}
			s.Deployments = slices.Insert(s.Deployments, 0, d)
		}
		later := func() {
			for range r.IntN(3) {
				add(
					version(choose(r, "1", "2"), choose(r, "a", "b"), ""),
					choose(r, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying, v1alpha1.BakeCancelled),
				)
			}
		}
		add(before, v1alpha1.BakeSucceeded)
		later()
		add(bad, v1alpha1.BakeSucceeded)
		later()
		add(before, choose(r, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying, v1alpha1.BakeCancelled))
		later()
		n.At, q.Upstreams = noon, q.Upstreams[:1]
		n.Environments = append(
			slices.DeleteFunc(n.Environments, func(o environment.State) bool { return o.Environment == s.Environment }), s,
		)
		if a := n.Evaluate(q, bad); a.State == open || a.Reason != environment.ReasonRolledBackUpstream {
			return fmt.Sprintf("after the rollback it is %s: %s", a.State, a.Message)
		}
		add(bad, v1alpha1.BakeSucceeded)
		q.Now = noon.Add(time.Hour)
		n.Environments[len(n.Environments)-1], n.At = s, q.Now
		if a := n.Evaluate(q, bad); a.State != open {
			return fmt.Sprintf("once it is Available again it is %s: %s", a.State, a.Message)
		}
		rollbacks++
		return ""
	})
	if rollbacks != cases {
		t.Errorf("only %d rollbacks were tested", rollbacks)
	}
}

func TestOrderOfEnvironmentsDoesNotMatter(t *testing.T) {
	t.Parallel()
	forAllCases(t, func(r *rand.Rand, n environment.Snapshot, q environment.Requirements, v v1alpha1.VersionInfo) string {
		mixed := environment.Snapshot{At: n.At, Environments: slices.Clone(n.Environments)}
		r.Shuffle(len(mixed.Environments), func(i, j int) {
			mixed.Environments[i], mixed.Environments[j] = mixed.Environments[j], mixed.Environments[i]
		})
		if diff := gocmp.Diff(n.Evaluate(q, v), mixed.Evaluate(q, v)); diff != "" {
			return "the order of the environments matters: " + diff
		}
		r.Shuffle(len(q.Upstreams), func(i, j int) { q.Upstreams[i], q.Upstreams[j] = q.Upstreams[j], q.Upstreams[i] })
		if got := n.Evaluate(q, v); (got.State == open) != (mixed.Evaluate(q, v).State == open) {
			return "the order of the upstreams matters"
		}
		return ""
	})
}
