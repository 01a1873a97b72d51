package healthcheck

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/health"
)

const (
	defaultInterval = 30 * time.Second
	shortest        = 5 * time.Second
	// eager is how soon a check that has no verdict is asked again, where nothing tells when it will have one.
	eager = 2 * time.Second
	// grace is what a probe may take beyond its time-out, to say what timed out.
	grace = time.Second
	// jitter spreads probes by up to this share of the interval.
	jitter = 0.1
	// maxStreaks is how many checks have a streak, and maxStreaksOfNamespace how many of them one namespace has.
	maxStreaks, maxStreaksOfNamespace = 65536, 8192
)

// streaks remembers how the last probes of each check went. It may be lost: then they are counted anew.
type streaks struct {
	mu   sync.Mutex
	list *fair.Cache[types.UID, *streak]
	// gaps is how often the process has stood still.
	gaps int
}

// streak is how the last probes of one check went.
type streak struct {
	// next is the earliest time of the next probe.
	next       time.Time
	generation int64
	// about are the deployments, or the revision, that the probes were about.
	about        []v1alpha1.CheckedDeployment
	revision     string
	passes, fail int32
	// hard is how many probes in a row were hard on the controller.
	hard int32
	// gaps is how often the process had stood still when the last of them was made.
	gaps int
}

func newStreaks() *streaks {
	return &streaks{list: fair.NewCache[types.UID, *streak](maxStreaks, maxStreaksOfNamespace, nil)}
}

// add starts a new streak of a check. The streaks of deleted checks are evicted some time.
func (s *streaks) add(check *v1alpha1.HealthCheck, k *streak) {
	s.list.Add(check.Namespace, check.UID, k, 1)
}

func (s *streaks) get(check *v1alpha1.HealthCheck) (*streak, bool) {
	return s.list.Get(check.Namespace, check.UID)
}

// stoodStill notes how often the process has stood still. Probes before and after that are not in a row.
func (s *streaks) stoodStill(gaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = gaps
}

func (s *streaks) forget(check *v1alpha1.HealthCheck) { s.list.Remove(check.Namespace, check.UID) }

// due is how long until the check has to be probed; 0 is now. Whatever may change its verdict makes it due. Checks that find a
// revision are told by Flux when to look, and cost no request outside the cluster.
func (s *streaks) due(check *v1alpha1.HealthCheck, releases []health.Release, byRevision bool, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.get(check)
	about := deployments(check, releases)
	switch {
	case byRevision:
		return 0
	case !known && check.Status.ObservedGeneration == check.Generation && covers(check.Status.Deployments, about):
		// The program has just started, with thousands of others waiting.
		soon := wait.Jitter(time.Second, interval(check, health.Report{State: health.Normal(check.Status.Status)}).Seconds())
		s.add(check, &streak{next: now.Add(soon), generation: check.Generation, about: about})
		return soon
	case !known || last.generation != check.Generation || !covers(last.about, about):
		return 0
	}
	return max(0, last.next.Sub(now))
}

// earliest is how long after a probe the next one may be, and spread how long after it will be if nothing happens.
func earliest(every time.Duration) time.Duration {
	return time.Duration(float64(every) * (1 - jitter/2))
}

func spread(every time.Duration) time.Duration { return wait.Jitter(earliest(every), jitter) }

// verdict is what the probes of a check amount to.
type verdict struct {
	health.Report
	// About are the deployments that it speaks for.
	About []v1alpha1.CheckedDeployment
}

// judge counts a probe and says what the check amounts to. A state is left only after as many probes in a row as its threshold asks
// for, all about the same deployments.
func (s *streaks) judge(check *v1alpha1.HealthCheck, releases []health.Release, r health.Report, now time.Time) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	about := deployments(check, releases)
	k, ok := s.get(check)
	if !ok || k.generation != check.Generation || !slices.Equal(k.about, about) || k.revision != r.Revision {
		k = &streak{generation: check.Generation, about: about, revision: r.Revision}
		s.add(check, k)
	}
	if k.gaps != s.gaps {
		k.passes, k.fail, k.gaps = 0, 0, s.gaps
	}
	k.next = now.Add(earliest(interval(check, r)))
	r = settle(r, check.Spec.NoData)
	switch r.State {
	case v1alpha1.HealthHealthy:
		k.passes, k.fail = k.passes+1, 0
	case v1alpha1.HealthUnhealthy:
		k.passes, k.fail = 0, k.fail+1
	default:
		k.passes, k.fail = 0, 0
		return verdict{r, about}
	}
	if k.passes >= max(1, check.Spec.SuccessThreshold) || k.fail >= max(1, check.Spec.FailureThreshold) {
		return verdict{r, about}
	}
	return undecided(check, r)
}

// pause is how long after a probe the check is asked again. One that was hard on the controller, more often than it takes to be
// Unhealthy, is asked less and less often until an answer comes, or until what it is about changes.
func (s *streaks) pause(check *v1alpha1.HealthCheck, r health.Report, hard bool, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.get(check)
	every := interval(check, r)
	switch {
	case !ok:
		return every
	case !hard:
		k.hard = 0
		return every
	}
	k.hard++
	every = fair.Backoff(every, k.hard-max(1, check.Spec.FailureThreshold))
	k.next = now.Add(earliest(every))
	return every
}

// undecided leaves the check as it is until the threshold is reached. What it speaks for does not change either. What it was by
// another spec, or for another revision, it is not any more.
func undecided(check *v1alpha1.HealthCheck, r health.Report) verdict {
	decided := check.Status.Status == v1alpha1.HealthHealthy || check.Status.Status == v1alpha1.HealthUnhealthy
	if !decided || check.Status.ObservedGeneration != check.Generation || r.Revision != check.Status.ObservedRevision {
		r.State, r.Message = v1alpha1.HealthPending, "waits for as many probes in a row as the threshold asks for: "+r.Message
		return verdict{r, check.Status.Deployments}
	}
	r.State = check.Status.Status
	if check.Status.Message != nil {
		r.Message = *check.Status.Message
	}
	return verdict{r, check.Status.Deployments}
}

// settle says what no data means.
func settle(r health.Report, noData v1alpha1.NoData) health.Report {
	if r.State != health.NoData {
		return r
	}
	switch noData {
	case v1alpha1.NoDataPass:
		r.State = v1alpha1.HealthHealthy
	case v1alpha1.NoDataFail:
		r.State = v1alpha1.HealthUnhealthy
	default:
		r.State = v1alpha1.HealthPending
	}
	return r
}

// covers reports whether every deployment of want is in have.
func covers(have, want []v1alpha1.CheckedDeployment) bool {
	return !slices.ContainsFunc(want, func(d v1alpha1.CheckedDeployment) bool { return !slices.Contains(have, d) })
}
