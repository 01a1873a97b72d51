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

// worlds is how many random news the properties are tried on.
const worlds = 5000

func choose[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// anything makes news of up to five environments, and a question.
func anything(r *rand.Rand) (environment.Snapshot, environment.Question, v1alpha1.VersionInfo) {
	version := func() v1alpha1.VersionInfo {
		return release(choose(r, "1", "2"), choose(r, "", "a", "a", "b"), choose(r, "", "r", "r", "s"))
	}
	names := []string{"a", "b", "c", "d", "e"}
	n := environment.Snapshot{At: noon.Add(-time.Duration(r.IntN(30)) * time.Minute)}
	for _, name := range names[:1+r.IntN(len(names))] {
		s := stage(name)
		for i := range r.IntN(6) {
			d := ran(version(), is(choose(r, v1alpha1.BakeSucceeded, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeCancelled, "")))
			d.At = noon.Add(-time.Duration(i) * time.Minute)
			if r.IntN(3) > 0 && d.State == v1alpha1.BakeSucceeded {
				d.AvailableSince = d.At
			}
			if r.IntN(15) == 0 {
				quarantined(&d)
			}
			if r.IntN(3) == 0 {
				doubted(&d)
			}
			s.Deployments = append(s.Deployments, d)
		}
		n.Environments = append(n.Environments, s)
	}
	q := environment.Question{Now: noon, Patience: choose(r, 0, 0, 10*time.Minute)}
	for range 1 + r.IntN(2) {
		q.Upstreams = append(q.Upstreams, environment.Upstream{Environment: choose(r, names...), For: choose(r, 0, 0, 3*time.Minute)})
	}
	return n, q, version()
}

// each tries a property on many news, and names the seed of those it does not hold for.
func each(t *testing.T, holds func(*rand.Rand, environment.Snapshot, environment.Question, v1alpha1.VersionInfo) string) {
	t.Helper()
	for seed := range uint64(worlds) {
		r := rand.New(rand.NewPCG(seed, 0))
		n, q, v := anything(r)
		if what := holds(r, n, q, v); what != "" {
			t.Fatalf("seed %d: %s\nabout %+v, asked %+v\nnews %+v", seed, what, v, q, n)
		}
	}
}

// TestDoubtOpensNothing: without the deployments that nobody vouches for, what is open stays open, and what is closed stays closed.
func TestDoubtOpensNothing(t *testing.T) {
	t.Parallel()
	opened := 0
	each(t, func(_ *rand.Rand, n environment.Snapshot, q environment.Question, v v1alpha1.VersionInfo) string {
		vouched := environment.Snapshot{At: n.At}
		for _, s := range n.Environments {
			s.Deployments = slices.DeleteFunc(slices.Clone(s.Deployments), func(d environment.Deployment) bool { return d.UntrustedReason != "" })
			vouched.Environments = append(vouched.Environments, s)
		}
		with, without := n.Ask(q, v), vouched.Ask(q, v)
		if without.State == open {
			opened++
		}
		if with.State != without.State {
			return fmt.Sprintf("what is doubted turns %s (%s) into %s (%s)", without.State, without.Reason, with.State, with.Reason)
		}
		return ""
	})
	if opened < worlds/50 {
		t.Errorf("only %d of %d were open", opened, worlds)
	}
}

// TestOpenNeedsEvidence reads the deployments without the help of the package.
func TestOpenNeedsEvidence(t *testing.T) {
	t.Parallel()
	same := func(a, b v1alpha1.VersionInfo) bool {
		if a.Digest != "" && b.Digest != "" {
			return a.Digest == b.Digest
		}
		return a.Revision != nil && b.Revision != nil && *a.Revision == *b.Revision
	}
	each(t, func(_ *rand.Rand, n environment.Snapshot, q environment.Question, v v1alpha1.VersionInfo) string {
		a := n.Ask(q, v)
		if a.State != open {
			return ""
		}
		if q.Patience > 0 && (!n.At.Add(q.Patience).After(noon) || !a.Until.Equal(n.At.Add(q.Patience))) {
			return "it trusts old news, or for too long"
		}
		for _, u := range q.Upstreams {
			s, _ := n.Find(u.Environment)
			evidence := slices.ContainsFunc(s.Deployments, func(d environment.Deployment) bool {
				return d.UntrustedReason == "" && d.State == v1alpha1.BakeSucceeded && same(d.Version, v) && ranFor(s, d, u.For)
			})
			bad := slices.ContainsFunc(s.Deployments, func(d environment.Deployment) bool {
				return d.UntrustedReason == "" && d.Quarantine != "" && same(d.Version, v)
			})
			if !evidence || bad {
				return "it opens on what " + u.Environment + " says"
			}
		}
		return ""
	})
}

// ranFor reports whether a deployment was Available until it was replaced, or until now, for that long.
func ranFor(s environment.State, d environment.Deployment, atLeast time.Duration) bool {
	end := noon
	for _, other := range s.Deployments {
		if other.UntrustedReason == "" && other.At.After(d.At) && other.At.Before(end) {
			end = other.At
		}
	}
	return atLeast == 0 || !d.AvailableSince.IsZero() && end.Sub(d.AvailableSince) >= atLeast
}

// TestReturnCountsUntilItIsAvailableAgain: whatever is deployed after a return changes nothing about what was gone back from, unless it is
// that very release.
func TestReturnCountsUntilItIsAvailableAgain(t *testing.T) {
	t.Parallel()
	returns, before, back := 0, release("0", "before", ""), release("9", "back", "")
	each(t, func(r *rand.Rand, n environment.Snapshot, q environment.Question, _ v1alpha1.VersionInfo) string {
		s := stage(q.Upstreams[0].Environment)
		add := func(v v1alpha1.VersionInfo, state v1alpha1.BakeStatus) {
			d := ran(v, is(state), number(int64(len(s.Deployments)+1)))
			d.At = noon.Add(time.Duration(len(s.Deployments)-60) * time.Minute)
			if state == v1alpha1.BakeSucceeded {
				d.AvailableSince = d.At
			}
			s.Deployments = slices.Insert(s.Deployments, 0, d)
		}
		later := func() {
			for range r.IntN(3) {
				add(release(choose(r, "1", "2"), choose(r, "a", "b"), ""), choose(r, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying, v1alpha1.BakeCancelled))
			}
		}
		add(before, v1alpha1.BakeSucceeded)
		later()
		add(back, v1alpha1.BakeSucceeded)
		later()
		add(before, choose(r, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeDeploying, v1alpha1.BakeCancelled))
		later()
		n.At, q.Upstreams = noon, q.Upstreams[:1]
		n.Environments = append(slices.DeleteFunc(n.Environments, func(o environment.State) bool { return o.Environment == s.Environment }), s)
		if a := n.Ask(q, back); a.State == open || a.Reason != environment.ReasonRolledBackUpstream {
			return fmt.Sprintf("after a return it is %s: %s", a.State, a.Message)
		}
		add(back, v1alpha1.BakeSucceeded)
		q.Now = noon.Add(time.Hour)
		n.Environments[len(n.Environments)-1], n.At = s, q.Now
		if a := n.Ask(q, back); a.State != open {
			return fmt.Sprintf("once Available again it is %s: %s", a.State, a.Message)
		}
		returns++
		return ""
	})
	if returns != worlds {
		t.Errorf("only %d returns were tried", returns)
	}
}

func TestOrderOfEnvironmentsDoesNotMatter(t *testing.T) {
	t.Parallel()
	each(t, func(r *rand.Rand, n environment.Snapshot, q environment.Question, v v1alpha1.VersionInfo) string {
		mixed := environment.Snapshot{At: n.At, Environments: slices.Clone(n.Environments)}
		r.Shuffle(len(mixed.Environments), func(i, j int) {
			mixed.Environments[i], mixed.Environments[j] = mixed.Environments[j], mixed.Environments[i]
		})
		if diff := gocmp.Diff(n.Ask(q, v), mixed.Ask(q, v)); diff != "" {
			return "the order of the news matters: " + diff
		}
		r.Shuffle(len(q.Upstreams), func(i, j int) { q.Upstreams[i], q.Upstreams[j] = q.Upstreams[j], q.Upstreams[i] })
		if got := n.Ask(q, v); (got.State == open) != (mixed.Ask(q, v).State == open) {
			return "the order of the upstreams matters"
		}
		return ""
	})
}
