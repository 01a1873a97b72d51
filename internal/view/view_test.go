package view_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func at(seconds int) *metav1.Time {
	return &metav1.Time{Time: noon.Add(time.Duration(seconds) * time.Second)}
}

func version(tag string) v1alpha1.VersionInfo {
	return v1alpha1.VersionInfo{Tag: tag, Digest: "sha256:" + strings.Repeat(strings.ReplaceAll(tag, ".", ""), 22)[:64]}
}

func rollout(edit func(*v1alpha1.RolloutStatus)) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"},
		Spec:       v1alpha1.RolloutSpec{BakeTime: ptr.To(v1alpha1.Duration("1h"))},
	}
	edit(&ro.Status)
	return ro
}

func deployed(id int64, tag string, status v1alpha1.BakeStatus, message string) v1alpha1.DeploymentHistoryEntry {
	e := v1alpha1.DeploymentHistoryEntry{
		ID: &id, Version: version(tag), Timestamp: *at(-300), BakeStatus: ptr.To(string(status)), BakeStatusMessage: &message,
		Message: ptr.To("Automatic deployment"),
	}
	if status == v1alpha1.BakeInProgress || status == v1alpha1.BakeSucceeded {
		e.BakeStartTime = at(-200)
	}
	if status == v1alpha1.BakeSucceeded || status == v1alpha1.BakeFailed {
		e.BakeEndTime = at(-100)
	}
	return e
}

// rollouts returns a Rollout in each state that looks different.
func rollouts() map[string]*v1alpha1.Rollout {
	gate := v1alpha1.Blocker{
		Kind: "RolloutGate", Name: "release-manager", Reason: "AwaitingApproval", Message: "waits for approval of 1.0.0",
		Since: at(-125), ClearedBy: "whoever may edit the gate",
	}
	failure := v1alpha1.Blocker{
		Kind: "Rollout", Name: "cart", Reason: v1alpha1.ReasonPreviousFailed, Message: "1.1.0 failed: the pods never became ready",
		Since: at(-100), ClearedBy: "a person: retry or unblock-failed",
	}
	all := map[string]*v1alpha1.Rollout{
		"nothing-known": rollout(func(st *v1alpha1.RolloutStatus) {
			st.Phase = v1alpha1.PhaseWaiting
			st.BlockedBy = []v1alpha1.Blocker{{Kind: "ImagePolicy", Name: "cart", Message: "the ImagePolicy does not exist", Since: at(-3)}}
		}),
		"held-at-gate": rollout(func(st *v1alpha1.RolloutStatus) {
			st.Phase, st.PendingVersion = v1alpha1.PhaseWaiting, "1.0.0"
			st.AvailableReleases = []v1alpha1.VersionInfo{version("1.0.0")}
			window := v1alpha1.Blocker{Kind: "RolloutGate", Name: "office-hours", Message: "closed at night", Since: at(-7200), Until: at(5400)}
			st.BlockedBy = []v1alpha1.Blocker{gate, window}
			st.Gates = []v1alpha1.RolloutGateStatusSummary{
				{Name: "office-hours", Passing: ptr.To(false)}, {Name: "release-manager", Passing: ptr.To(false)},
				{Name: "staging", Passing: ptr.To(true), Message: "Available in staging"},
			}
		}),
		"deploying": rollout(func(st *v1alpha1.RolloutStatus) {
			st.Phase, st.CurrentVersion = v1alpha1.PhaseDeploying, "1.1.0"
			st.AvailableReleases = []v1alpha1.VersionInfo{version("1.0.0"), version("1.1.0")}
			st.History = []v1alpha1.DeploymentHistoryEntry{
				deployed(2, "1.1.0", v1alpha1.BakeDeploying, ""), deployed(1, "1.0.0", v1alpha1.BakeSucceeded, ""),
			}
			st.BlockedBy = []v1alpha1.Blocker{{Kind: "Kustomization", Name: "cart", Message: "Flux has not applied the version yet", Since: at(-9), ClearedBy: "Flux"}}
			st.Checks = []v1alpha1.CheckEvidence{{Name: "cart", State: "Healthy"}, {Name: "errors", State: "Unhealthy", Current: true, Message: "5 % of requests fail"}}
			st.Targets = []v1alpha1.TargetStatus{{Kind: "Kustomization", Name: "cart", Variable: "VERSION"}, {Kind: "OCIRepository", Name: "cart", Applied: true}}
		}),
		"baking": rollout(func(st *v1alpha1.RolloutStatus) {
			st.Phase, st.CurrentVersion = v1alpha1.PhaseBaking, "1.0.0"
			st.AvailableReleases = []v1alpha1.VersionInfo{version("1.0.0")}
			st.History = []v1alpha1.DeploymentHistoryEntry{deployed(1, "1.0.0", v1alpha1.BakeInProgress, "")}
			st.BlockedBy = []v1alpha1.Blocker{{Kind: "Rollout", Name: "cart", Reason: v1alpha1.ReasonBaking, Message: "1.0.0 bakes", Until: at(3400)}}
			st.Checks = []v1alpha1.CheckEvidence{{Name: "cart", State: "Healthy", Current: true, Message: "all well"}}
			st.Targets = []v1alpha1.TargetStatus{{Kind: "Kustomization", Name: "cart", Variable: "VERSION", Applied: true}}
		}),
		"failed": rollout(func(st *v1alpha1.RolloutStatus) {
			st.Phase, st.CurrentVersion = v1alpha1.PhaseFailed, "1.1.0"
			st.AvailableReleases = []v1alpha1.VersionInfo{version("1.0.0"), version("1.1.0")}
			st.History = []v1alpha1.DeploymentHistoryEntry{
				deployed(2, "1.1.0", v1alpha1.BakeFailed, "the pods never became ready"), deployed(1, "1.0.0", v1alpha1.BakeSucceeded, ""),
			}
			st.Quarantined = []v1alpha1.Quarantine{{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "1.1.0"}}}
			st.BlockedBy = []v1alpha1.Blocker{failure}
		}),
	}
	next := all["failed"].DeepCopy()
	next.Status.PendingVersion = "1.2.0"
	next.Status.AvailableReleases = append(next.Status.AvailableReleases, version("1.2.0"))
	all["held-after-failure"] = next
	hostile := all["held-at-gate"].DeepCopy()
	hostile.Status.BlockedBy[0].Message = "all \x1b[2Jis\u202e well\r\nreally" + strings.Repeat(" and", 300)
	hostile.Status.AvailableReleases[0].Tag = "1.0.0\x1b[31m"
	all["hostile"] = hostile
	wide := all["held-at-gate"].DeepCopy()
	wide.Status.BlockedBy[0].Message = "承認待ち: 担当者が休暇中のため、明日の朝まで待つ必要があります 👩‍👩‍👧‍👧 e\u0301té"
	wide.Status.BlockedBy[1].Name = "営業時間"
	all["wide"] = wide
	return all
}

func TestTree(t *testing.T) {
	styles := map[string]view.Style{"": {}, "-narrow": {Width: 60}, "-brief": {Width: 60, Brief: true}, "-tiny": {Width: 24}, "-color": {Color: true}}
	for name, ro := range rollouts() {
		for suffix, style := range styles {
			if suffix != "" && name != "held-after-failure" && (name != "wide" || suffix != "-narrow") {
				continue
			}
			t.Run(name+suffix, func(t *testing.T) {
				got := strings.Join(view.Render(view.Tree(ro, nil, noon), style), "\n") + "\n"
				compare(t, filepath.Join("testdata", "tree-"+name+suffix+".txt"), got)
			})
		}
	}
}

// TestFits checks on terminals of every width that no line is wider, that no line has blanks at its end, and that
// nothing but our own colours reaches the terminal.
func TestFits(t *testing.T) {
	for name, ro := range rollouts() {
		for width := 1; width <= 130; width += 3 {
			for _, style := range []view.Style{{Width: width}, {Width: width, Brief: true}, {Width: width, Color: true}} {
				lines := append(view.Render(view.Tree(ro, nil, noon), style), view.Table(heading, rows(ro), style)...)
				for _, line := range lines {
					text := ansi.Strip(line)
					if view.Width(line) > width || strings.TrimRight(text, " ") != text || strings.ContainsFunc(text, unicode.IsControl) {
						t.Fatalf("%s, %+v: %d columns: %q", name, style, view.Width(line), line)
					}
					if !style.Color && text != line {
						t.Fatalf("%s, %+v: coloured: %q", name, style, line)
					}
				}
			}
		}
	}
}

// TestNothingIsLost checks that a narrow terminal shows every word that a wide one shows.
func TestNothingIsLost(t *testing.T) {
	ro := rollouts()["held-after-failure"]
	for width := 40; width <= 130; width++ {
		text := strings.Join(view.Render(view.Tree(ro, nil, noon), view.Style{Width: width}), " ")
		for word := range strings.FieldsSeq("1.0.0 Available deployment 1, baked for 100s quarantined 1.2.0 Pending PreviousFailed never became ready unblock-failed") {
			if !strings.Contains(text, word) {
				t.Errorf("%d columns lack %q:\n%s", width, word, text)
			}
		}
	}
}

func TestStyle(t *testing.T) {
	cases := map[string]struct {
		reason  string
		columns int
		env     map[string]string
		want    view.Style
	}{
		"Terminal": {"a terminal has colours and an edge", 80, map[string]string{"TERM": "xterm"}, view.Style{Color: true, Width: 80}},
		"Pipe":     {"what a program reads has neither", 0, map[string]string{"TERM": "xterm"}, view.Style{}},
		"NoColor":  {"NO_COLOR counts whatever its value", 80, map[string]string{"NO_COLOR": "no"}, view.Style{Width: 80}},
		"Empty":    {"an empty NO_COLOR does not count", 80, map[string]string{"NO_COLOR": ""}, view.Style{Color: true, Width: 80}},
		"Dumb":     {"a dumb terminal knows no colours", 80, map[string]string{"TERM": "dumb"}, view.Style{Width: 80}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, view.NewStyle(c.columns, func(key string) string { return c.env[key] })); diff != "" {
				t.Errorf("%s:\n%s", c.reason, diff)
			}
		})
	}
}

var heading = []string{"NAMESPACE", "NAME", "PHASE", "WAITS FOR"}

func rows(all ...*v1alpha1.Rollout) [][]string {
	var rows [][]string
	for _, ro := range all {
		why := ""
		if len(ro.Status.BlockedBy) > 0 {
			why = ro.Status.BlockedBy[0].Message
		}
		rows = append(rows, []string{ro.Namespace, ro.Name, string(ro.Status.Phase), why})
	}
	return rows
}

func TestTable(t *testing.T) {
	all := rollouts()
	cells := rows(all["held-at-gate"], all["wide"], all["baking"], all["failed"])
	cells[2][3] = "first line\nsecond \x1b[31mline\u202e"
	for suffix, style := range map[string]view.Style{"": {}, "-80": {Width: 80}, "-50": {Width: 50}, "-20": {Width: 20}} {
		t.Run("table"+suffix, func(t *testing.T) {
			got := strings.Join(view.Table(heading, cells, style), "\n") + "\n"
			compare(t, filepath.Join("testdata", "table"+suffix+".txt"), got)
		})
	}
}

// TestTreePrefersTheObject checks that the status of a Release wins over what the Rollout says of it.
func TestTreePrefersTheObject(t *testing.T) {
	releases := []v1alpha1.Release{{
		Spec:   v1alpha1.ReleaseSpec{Version: version("1.0.0")},
		Status: v1alpha1.ReleaseStatus{Phase: v1alpha1.ReleaseCancelled, Message: "replaced by hand"},
	}}
	got := view.Tree(rollouts()["deploying"], releases, noon).Children[0]
	want := view.Node{Tone: view.Idle, Title: "1.0.0", State: "Cancelled", Children: []view.Node{{Note: "replaced by hand"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestChanges(t *testing.T) {
	s := rollouts()
	cases := map[string]struct {
		reason string
		before *v1alpha1.Rollout
		after  *v1alpha1.Rollout
		want   []view.Change
	}{
		"First": {
			"everything is new at the first observation", nil, s["held-at-gate"],
			[]view.Change{
				{Tone: view.Idle, Text: "1.0.0 is discovered (sha256:100100100100)"},
				{Tone: view.Held, Text: "1.0.0 waits: RolloutGate release-manager: waits for approval of 1.0.0 (cleared by whoever may edit the gate)"},
				{Tone: view.Held, Text: "1.0.0 waits: RolloutGate office-hours: closed at night"},
			},
		},
		"Nothing": {"there is no line without a change", s["held-at-gate"], s["held-at-gate"], nil},
		"Bakes": {
			"a deployment that advances has a line, its own bake blocks nothing", s["held-at-gate"], s["baking"],
			[]view.Change{{Tone: view.Busy, Text: "1.0.0 is applied and healthy, and bakes"}},
		},
		"Fails": {
			"a failure has one line", s["deploying"], s["failed"],
			[]view.Change{
				{Tone: view.Bad, Text: "1.1.0 failed: the pods never became ready"},
				{Tone: view.Bad, Text: "1.1.0 is quarantined: it is never deployed automatically again"},
			},
		},
		"Holds": {
			"what the next release waits for names who can clear it", s["failed"], s["held-after-failure"],
			[]view.Change{
				{Tone: view.Idle, Text: "1.2.0 is discovered (sha256:120120120120)"},
				{Tone: view.Held, Text: "1.2.0 waits: 1.1.0 failed: the pods never became ready (cleared by a person: retry or unblock-failed)"},
			},
		},
		"Lifted": {
			"the end of a quarantine has a line", s["failed"], s["deploying"],
			[]view.Change{
				{Tone: view.Busy, Text: "deploying 1.1.0: Automatic deployment"},
				{Tone: view.Idle, Text: "1.1.0 is no longer quarantined"},
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, view.Changes(c.before, c.after)); diff != "" {
				t.Errorf("%s:\n%s", c.reason, diff)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	cases := map[string]struct {
		text  string
		width int
		want  []string
	}{
		"Short":     {"a b", 10, []string{"a b"}},
		"Nowhere":   {"a b", 0, []string{"a b"}},
		"Words":     {"one two three", 8, []string{"one two", "three"}},
		"Long word": {"see abcdefghij now", 4, []string{"see", "abcd", "efgh", "ij", "now"}},
		"Wide":      {"日本語", 4, []string{"日本", "語"}},
		"Names":     {"retry or unblock-failed now", 14, []string{"retry or", "unblock-failed", "now"}},
		"Family":    {"👩‍👩‍👧‍👧👩‍👩‍👧‍👧👩‍👩‍👧‍👧", 4, []string{"👩‍👩‍👧‍👧👩‍👩‍👧‍👧", "👩‍👩‍👧‍👧"}},
		"Accents":   {"e\u0301e\u0301 e\u0301", 3, []string{"e\u0301e\u0301", "e\u0301"}},
		"Colour":    {"\x1b[32m✓\x1b[0m fine", 6, []string{"\x1b[32m✓\x1b[0m fine"}},
		"Colours":   {"\x1b[32mone two\x1b[m", 4, []string{"\x1b[32mone\x1b[m", "\x1b[32mtwo\x1b[m"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, view.Wrap(c.text, c.width)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// compare compares text with a golden file.
func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update rewrites it):\n%s", path, diff)
	}
}
