package see_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/clitest"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/view"
)

// shop returns the world of the examples.
func shop() *clitest.World { return clitest.New(clitest.Shop()...) }

func TestOutput(t *testing.T) {
	cases := map[string]string{
		"get-rollouts-all":      "get rollouts -A",
		"get-rollouts-wide":     "get rollouts -n shop -o wide",
		"get-rollouts-json":     "get rollouts checkout -n shop -o json",
		"get-rollouts-name":     "get rollouts -n pay -o name",
		"get-rollouts-quiet":    "get rollouts -n pay -q",
		"get-releases":          "get releases -n shop --rollout checkout",
		"get-releases-wide":     "get releases -n shop -o wide",
		"get-gates":             "get gates -n shop",
		"get-gates-yaml":        "get gates release-manager -n shop -o yaml",
		"get-checks":            "get checks -A",
		"get-environments":      "get environments -A",
		"get-approvals":         "get approvals -n shop",
		"get-empty":             "get checks -n pay",
		"get-empty-selector":    "get rollouts -n shop -l team=none",
		"get-missing":           "get rollouts chekout -n shop",
		"why":                   "why checkout -n shop",
		"why-all":               "why checkout -n shop --all",
		"why-json":              "why checkout -n shop -o json",
		"why-name":              "why checkout -n shop -o name",
		"why-failed":            "why shop/search",
		"why-failed-release":    "why shop/search@2.1.0",
		"why-baking":            "why pay/ledger",
		"why-frozen":            "why pay/fees",
		"why-fine":              "why web/site",
		"why-old-release":       "why checkout@1.8.0 -n shop",
		"why-quarantined":       "why checkout@1.8.1 -n shop",
		"why-running-release":   "why checkout@1.8.2 -n shop",
		"why-next-release":      "why checkout@1.9.0 -n shop",
		"why-unknown-release":   "why checkout@7.0.0 -n shop",
		"why-unknown":           "why chekout -n shop",
		"why-other-namespace":   "why checkout -n web",
		"tree":                  "tree checkout -n shop",
		"tree-json":             "tree web/site -o json",
		"history":               "history checkout -n shop",
		"history-release":       "history checkout@1.8.1 -n shop -o wide",
		"history-json":          "history search -n shop -o json",
		"where-tag":             "where 1.9.0",
		"where-commit":          "where " + strings.TrimPrefix(clitest.Digest("1.9.0commit"), "sha256:")[:7],
		"where-digest":          "where " + clitest.Digest("1.8.1")[:20],
		"where-rollout":         "where checkout@1.8.0",
		"where-json":            "where checkout@1.9.0 -o json",
		"where-unknown":         "where 7.7.7",
		"usage-format":          "get rollouts -o xml",
		"usage-flag":            "why checkout --twice",
		"usage-arguments":       "why",
		"usage-namespace-twice": "get rollouts -A -n shop",
		"usage-target":          "why a/b/c",
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			clitest.Golden(t, name+".txt", shop().Run(t, strings.Fields(args)...).String())
		})
	}
}

// TestWidths pins the outputs for people on terminals of 80 and 120 columns.
func TestWidths(t *testing.T) {
	cases := map[string]string{
		"get-rollouts-all": "get rollouts -A", "why": "why checkout -n shop", "why-failed": "why shop/search", "tree": "tree checkout -n shop",
		"history": "history checkout -n shop",
	}
	for name, args := range cases {
		for width, suffix := range map[int]string{79: "-80", 119: "-120"} {
			t.Run(name+suffix, func(t *testing.T) {
				w := shop()
				w.Columns, w.Env = width, map[string]string{"NO_COLOR": "1"}
				clitest.Golden(t, name+suffix+".txt", w.Run(t, strings.Fields(args)...).String())
			})
		}
	}
}

func TestColors(t *testing.T) {
	cases := map[string]struct {
		reason  string
		columns int
		env     map[string]string
		args    []string
		colored bool
	}{
		"Terminal": {"a terminal has colors", 100, nil, nil, true},
		"Pipe":     {"what a program reads has none", 0, nil, nil, false},
		"Variable": {"NO_COLOR turns them off", 100, map[string]string{"NO_COLOR": "1"}, nil, false},
		"Flag":     {"--no-color turns them off", 100, nil, []string{"--no-color"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := shop()
			w.Columns, w.Env = c.columns, c.env
			got := w.Run(t, append([]string{"why", "checkout", "-n", "shop"}, c.args...)...)
			if colored := strings.Contains(got.Out, "\x1b["); colored != c.colored {
				t.Errorf("%s: got %q", c.reason, got.Out)
			}
		})
	}
}

// TestWhoMay checks what why says that the person who asks can do.
func TestWhoMay(t *testing.T) {
	cases := map[string]struct {
		reason, user string
		may          []string
		want, not    string
	}{
		"Asked": {
			"the gate asks for alice, who may create approvals", "alice", []string{"create approvals"},
			"are alice and may approve it:\n                kuberik approve checkout@1.9.0 -n shop", "kuberik override",
		},
		"NoRight": {"without the right, being asked is not enough", "alice", nil, "are alice and may not: you may not create approvals in shop", "approve it"},
		"NotAsked": {
			"the right alone is not enough if the gate asks for others", "carol", []string{"create approvals"},
			"are carol and may not: the gate does not ask for carol", "approve it",
		},
		"Approved": {"nobody approves twice", "bob", []string{"create approvals"}, "are bob and may not: you have approved it already", "approve it"},
		"OnCall": {
			"who may break the glass can pass a schedule", "erin", []string{"create overrides"},
			`kuberik override checkout@1.9.0 -n shop --bypass schedules --reason "…"`, "kuberik approve",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := shop()
			w.User, w.May = c.user, clitest.Only(c.may...)
			got := w.Run(t, "why", "checkout", "-n", "shop")
			if got.Code != exit.Held || !strings.Contains(got.Out, c.want) || strings.Contains(got.Out, c.not) {
				t.Errorf("%s: got\n%s\nwant %q and not %q", c.reason, got, c.want, c.not)
			}
		})
	}
}

// TestAuthor checks that why does not offer an approval to the author of the release.
func TestAuthor(t *testing.T) {
	objects := clitest.Shop()
	for _, o := range objects {
		if g, ok := o.(*v1alpha1.RolloutGate); ok && g.Name == "release-manager" {
			g.Spec.Approvals.From = nil
		}
	}
	w := clitest.New(objects...)
	w.User = "dana"
	if got := w.Run(t, "why", "checkout", "-n", "shop"); !strings.Contains(got.Out, "dana made the release and may not approve it") {
		t.Errorf("got\n%s", got)
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		args string
		want string
	}{
		"List":  {"get rollouts -n shop", "refused: carol may not list rollouts in shop\n  right   list rollouts.kuberik.com, as in the ClusterRole kuberik-view"},
		"All":   {"get rollouts -A", "refused: carol may not list rollouts in any namespace"},
		"Why":   {"why checkout -n shop", "refused: carol may not get rollouts in shop"},
		"Tree":  {"tree checkout -n shop", "refused: carol may not get rollouts in shop"},
		"Watch": {"get rollouts -n shop -w", "refused: carol may not list rollouts in shop"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := shop()
			w.User, w.May = "carol", func(view.Right) bool { return false }
			got := w.Run(t, strings.Fields(c.args)...)
			if got.Code != exit.Refused || !strings.Contains(got.Err, c.want) || got.Out != "" {
				t.Errorf("got\n%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestPartly checks that why does without what the user may not read, and says so.
func TestPartly(t *testing.T) {
	w := shop()
	w.May = func(r view.Right) bool {
		return r.Resource == "rollouts" || r.Resource == "releases"
	}
	got := w.Run(t, "why", "checkout", "-n", "shop")
	if got.Code != exit.Held || !strings.Contains(got.Err, "You may not read approvals, environments, gates in shop") ||
		!strings.Contains(got.Out, "1.9.0 is not out in shop/checkout") {
		t.Errorf("got\n%s", got)
	}
}

// TestHostile checks that no control character of others reaches the terminal, and that JSON keeps the original.
func TestHostile(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;owned\x07\u202e\r\nroot# "
	objects := clitest.Shop()
	for _, o := range objects {
		switch o := o.(type) {
		case *v1alpha1.Rollout:
			for i := range o.Status.BlockedBy {
				o.Status.BlockedBy[i].Message += evil
				o.Status.BlockedBy[i].ClearedBy += evil
			}
			o.Status.WaitsFor += evil
			for i := range o.Status.History {
				o.Status.History[i].BakeStatusMessage = ptrTo("failed" + evil)
				o.Status.History[i].Message = ptrTo("by hand" + evil)
			}
			for i := range o.Status.Gates {
				o.Status.Gates[i].Message += evil
			}
		case *v1alpha1.Release:
			o.Status.Message += evil
			o.Status.Details.Authors += evil
		case *v1alpha1.HealthCheck:
			o.Status.Message = ptrTo("bad" + evil)
		case *v1alpha1.Approval:
			o.Spec.Comment += evil
		}
	}
	calls := []string{
		"get rollouts -A", "get rollouts -A -o wide", "get releases -A -o wide", "get gates -A -o wide", "get checks -A", "get approvals -A -o wide",
		"why checkout -n shop --all", "why shop/search", "why shop/search@2.1.0", "why checkout@1.8.1 -n shop", "tree checkout -n shop",
		"history checkout -n shop", "history shop/search", "where 1.9.0",
	}
	for _, args := range calls {
		w := clitest.New(objects...)
		w.Columns, w.Env = 100, map[string]string{"NO_COLOR": "1"}
		got := w.Run(t, strings.Fields(args)...)
		if strings.ContainsAny(got.Out+got.Err, "\x1b\x07\r\u202e") {
			t.Errorf("%s: got %q", args, got.Out+got.Err)
		}
	}
	var answer struct{ Blockers []struct{ Message string } }
	got := clitest.New(objects...).Run(t, "why", "checkout", "-n", "shop", "-o", "json")
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil || !strings.HasSuffix(answer.Blockers[0].Message, evil) {
		t.Errorf("JSON lost the original: %v\n%s", err, got.Out)
	}
}

// TestTwice checks that a tag that was pushed twice has to be named by its digest.
func TestTwice(t *testing.T) {
	again := clitest.Release("shop", "checkout", "1.9.0", time.Hour, v1alpha1.ReleasePending)
	again.Name = "checkout-1.9.0-again"
	again.Spec.Version.Digest, again.Status.Details = "sha256:"+strings.Repeat("ab", 32), nil
	w := clitest.New(append(clitest.Shop(), again)...)
	clitest.Golden(t, "why-twice.txt", w.Run(t, "why", "checkout@1.9.0", "-n", "shop").String())
	if got := w.Run(t, "why", "checkout@sha256:abab", "-n", "shop", "-o", "name"); got.Out != "release/checkout-1.9.0-again\n" {
		t.Errorf("got\n%s", got)
	}
	if got := w.Run(t, "why", "release/checkout-1.9.0-again", "-n", "shop", "-o", "name"); got.Out != "release/checkout-1.9.0-again\n" {
		t.Errorf("got\n%s", got)
	}
}

// TestAmbiguous checks that a name with more than one meaning lists the meanings.
func TestAmbiguous(t *testing.T) {
	ro := &v1alpha1.Rollout{}
	ro.Namespace, ro.Name = "pay", "checkout"
	same := clitest.Release("shop", "checkout", "0.1.0", time.Hour, v1alpha1.ReleasePending)
	same.Name = "search"
	objects := append(clitest.Shop(), client.Object(ro), same)
	for args, want := range map[string]string{
		"why checkout -A":       "checkout is in 3 namespaces\n  name one of them:\n    pay/checkout\n    shop/checkout\n    shop-stg/checkout",
		"why checkout@1.9.0 -A": "    shop/checkout@1.9.0",
		"why search -n shop":    "shop/search is both a Rollout and a Release\n  write rollout/search or release/search",
	} {
		if got := clitest.New(objects...).Run(t, strings.Fields(args)...); got.Code != exit.Usage || !strings.Contains(got.Err, want) {
			t.Errorf("%s: got\n%s\nwant %s", args, got, want)
		}
	}
	if got := clitest.New(objects...).Run(t, "why", "rollout/search", "-n", "shop"); got.Code != exit.No {
		t.Errorf("got\n%s", got)
	}
}

func TestOffline(t *testing.T) {
	w := shop()
	w.Offline = clitest.ErrOffline
	if got := w.Run(t, "why", "checkout"); got.Code != exit.Usage || !strings.Contains(got.Err, "connection refused") {
		t.Errorf("got\n%s", got)
	}
}

func ptrTo(s string) *string { return &s }
