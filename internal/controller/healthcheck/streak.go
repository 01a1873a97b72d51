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
	minInterval     = 5 * time.Second
	// pendingInterval is the interval of pending checks that read from the cluster only.
	pendingInterval = 2 * time.Second
	// timeoutGrace is how much longer than its timeout a probe may take, to report what timed out.
	timeoutGrace = time.Second
	// jitter is the share of the interval by which probes vary.
	jitter = 0.1
	// maxStreaks is how many checks have a streak, and maxStreaksOfNamespace how many of them one namespace has.
	maxStreaks, maxStreaksOfNamespace = 65536, 8192
)

// streaks counts the last equal results of each check. It is lost with the process.
type streaks struct {
	mu   sync.Mutex
	list *fair.Cache[types.UID, *streak]
	// gaps is how often the process was stopped.
	gaps int
}

// streak counts the last equal results of one check.
type streak struct {
	// next is the earliest time of the next probe.
	next       time.Time
	generation int64
	// about and revision are the deployments, or the revision, of the probes.
	about        []v1alpha1.CheckedDeployment
	revision     string
	passes, fail int32
	// expensive is how many probes in a row were expensive.
	expensive int32
	// gaps is how often the process had been stopped at the last probe.
	gaps int
}

func newStreaks() *streaks {
	return &streaks{list: fair.NewCache[types.UID, *streak](maxStreaks, maxStreaksOfNamespace, nil)}
}

// add starts a new streak of a check. Streaks of deleted checks are evicted later.
func (s *streaks) add(check *v1alpha1.HealthCheck, k *streak) {
	s.list.Add(check.Namespace, check.UID, k, 1)
}

func (s *streaks) get(check *v1alpha1.HealthCheck) (*streak, bool) {
	return s.list.Get(check.Namespace, check.UID)
}

// setGaps stores how often the process was stopped. Probes before and after a stop are not in a row.
func (s *streaks) setGaps(gaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = gaps
}

func (s *streaks) forget(check *v1alpha1.HealthCheck) { s.list.Remove(check.Namespace, check.UID) }

// due returns the time until the next probe; 0 if it is due. Every change that may change the result makes it due.
// Checks of a revision are triggered by Flux, and send no request outside of the cluster.
func (s *streaks) due(
	check *v1alpha1.HealthCheck, releases []health.Release, byRevision bool, now time.Time,
) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.get(check)
	about := deployments(check, releases)
	switch {
	case byRevision:
		return 0
	case !known && check.Status.ObservedGeneration == check.Generation && covers(check.Status.Deployments, about):
		// The process has just started, and thousands of checks are due.
		soon := wait.Jitter(time.Second, interval(check, health.Report{State: health.Normal(check.Status.Status)}).Seconds())
		s.add(check, &streak{next: now.Add(soon), generation: check.Generation, about: about})
		return soon
	case !known || last.generation != check.Generation || !covers(last.about, about):
		return 0
	}
	return max(0, last.next.Sub(now))
}

// earliest returns the shortest time between two probes, and spread a random time around the interval.
func earliest(every time.Duration) time.Duration {
	return time.Duration(float64(every) * (1 - jitter/2))
}

func spread(every time.Duration) time.Duration { return wait.Jitter(earliest(every), jitter) }

// verdict is the result of a check.
type verdict struct {
	health.Report
	// About are the deployments that it covers.
	About []v1alpha1.CheckedDeployment
}

// count counts a probe and returns the result of the check. The state changes only after as many probes in a row as the
// threshold, all of them for the same deployments.
func (s *streaks) count(
	check *v1alpha1.HealthCheck, releases []health.Release, r health.Report, now time.Time,
) verdict {
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
	r = applyNoData(r, check.Spec.NoData)
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

// pause returns the time until the next probe. After more expensive probes than the failure threshold, the pause grows
// until a probe is not expensive, or until the deployment changes.
func (s *streaks) pause(check *v1alpha1.HealthCheck, r health.Report, expensive bool, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.get(check)
	every := interval(check, r)
	switch {
	case !ok:
		return every
	case !expensive:
		k.expensive = 0
		return every
	}
	k.expensive++
	every = fair.Backoff(every, k.expensive-max(1, check.Spec.FailureThreshold))
	k.next = now.Add(earliest(every))
	return every
}

// undecided returns the previous result until the threshold is reached, or Pending if the spec or the revision has
// changed.
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

// applyNoData replaces the state NoData as spec.noData says.
func applyNoData(r health.Report, noData v1alpha1.NoData) health.Report {
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
