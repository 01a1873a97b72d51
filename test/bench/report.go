package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// results of a run. Times are in milliseconds, memory is in MiB.
type results struct {
	// Rollouts of the controller, and how many of them got a release at once.
	Rollouts int `json:"rollouts"`
	Releases int `json:"releases"`
	// Floor and Kuberik are what was measured of each.
	Floor   side `json:"floor"`
	Kuberik side `json:"kuberik"`
	// Burst and Alone are the requests of the controller for each release, and CPUAlone is its processor time for one
	// release alone. UntilHandedOver are those in a burst that were made before the last Kustomization carried its
	// version.
	UntilHandedOver costs `json:"requestsPerReleaseInABurstUntilHandedOver"`

	Burst    costs   `json:"requestsPerReleaseInABurst"`
	Alone    costs   `json:"requestsPerReleaseAlone"`
	CPUAlone float64 `json:"cpuAlone"`
	// Idle counts the requests while nothing happened.
	Idle int `json:"requestsWhileIdle"`
	// Resident and Peak memory of the controller.
	Resident float64 `json:"resident"`
	Peak     float64 `json:"peak"`
	// Start is how long after its start the controller had looked at every Rollout, and Stop how long it took to stop.
	Start float64 `json:"start"`
	Stop  float64 `json:"stop"`
}

// side is what was measured of the floor or of the controller.
type side struct {
	// Rate is the median of the releases per second in a burst.
	Rate float64 `json:"releasesPerSecond"`
	// P50 and P99 are percentiles of the latency in a burst, and Single is the median of the latency of one release alone.
	P50    float64 `json:"burstP50"`
	P99    float64 `json:"burstP99"`
	Single float64 `json:"singleP50"`
	// CPU is the processor time for each release in a burst.
	CPU float64 `json:"cpu"`

	rates         []float64
	burst, single []time.Duration
	cpu           []float64
}

// add adds the processor time of a burst.
func (s *side) add(now, before usage, releases int) {
	s.cpu = append(s.cpu, milliseconds(now.cpu-before.cpu)/float64(releases))
}

func (s *side) summarise() {
	s.Rate, s.CPU = median(s.rates), median(s.cpu)
	s.P50, s.P99, s.Single = percentile(s.burst, 0.5), percentile(s.burst, 0.99), percentile(s.single, 0.5)
}

// costs are requests for each release, by verb and resource.
type costs map[string]cost

type cost struct {
	Requests float64 `json:"requests"`
	// Time that each takes at the API server.
	Time float64 `json:"time"`
}

func (c counts) per(releases int) costs {
	all := costs{}
	for what, n := range c {
		all[what] = cost{float64(n.Requests) / float64(releases), milliseconds(n.Time) / float64(n.Requests)}
	}
	return all
}

func (c costs) sum() float64 {
	sum := 0.0
	for _, n := range c {
		sum += n.Requests
	}
	return sum
}

// print writes the results as a table.
func (r *results) print(out io.Writer) error {
	r.Floor.summarise()
	r.Kuberik.summarise()
	var text strings.Builder
	line := func(format string, args ...any) { text.WriteString(fmt.Sprintf(format, args...) + "\n") }
	line("\n%d Rollouts, %d releases at once\tfloor\tKuberik\tratio", r.Rollouts, r.Releases)
	compare := func(what, unit string, floor, ours float64) {
		line("%s\t%.1f %s\t%.1f %s\t%.2f", what, floor, unit, ours, unit, ours/floor)
	}
	compare("burst: rate", "/s", r.Floor.Rate, r.Kuberik.Rate)
	compare("burst: latency p50", "ms", r.Floor.P50, r.Kuberik.P50)
	compare("burst: latency p99", "ms", r.Floor.P99, r.Kuberik.P99)
	compare("burst: CPU per release", "ms", r.Floor.CPU, r.Kuberik.CPU)
	compare("alone: latency p50", "ms", r.Floor.Single, r.Kuberik.Single)
	line("alone: CPU per release\t\t%.1f ms\t", r.CPUAlone)
	line("resident memory, peak\t\t%.0f MiB, %.0f MiB\t", r.Resident, r.Peak)
	line("requests while idle\t\t%d\t", r.Idle)
	line("start until all Rollouts were looked at\t\t%.0f ms\t", r.Start)
	line("stop\t\t%.0f ms\t", r.Stop)
	line("\nrequests per release\tburst, until the last handover\tburst\talone\tms at the API server")
	for _, what := range slices.Sorted(maps.Keys(merge(r.Burst, r.Alone))) {
		line("%s\t%.2f\t%.2f\t%.2f\t%.1f, %.1f", what, r.UntilHandedOver[what].Requests, r.Burst[what].Requests,
			r.Alone[what].Requests,
			r.Burst[what].Time, r.Alone[what].Time)
	}
	line("all\t%.2f\t%.2f\t%.2f\t", r.UntilHandedOver.sum(), r.Burst.sum(), r.Alone.sum())
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(t, text.String()); err != nil {
		return err
	}
	return t.Flush()
}

func merge(a, b costs) costs {
	all := maps.Clone(a)
	if all == nil {
		all = costs{}
	}
	maps.Copy(all, b)
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func percentile(list []time.Duration, part float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(list))
	return milliseconds(sorted[int(part*float64(len(sorted)-1))])
}
