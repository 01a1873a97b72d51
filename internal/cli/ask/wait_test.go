package ask_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/clitest"
)

func TestWait(t *testing.T) {
	cases := map[string]struct{ reason, args string }{
		"wait-available":       {"what is reached already ends at once", "wait web/site"},
		"wait-failed":          {"a failure ends the wait", "wait shop/search --version 2.1.0"},
		"wait-for-failed":      {"a failure may be what is waited for", "wait shop/search@2.1.0 --for=failed"},
		"wait-not-failed":      {"what is Available does not fail any more", "wait web/site --for=failed"},
		"wait-held":            {"a release that waits is held", "wait shop/checkout --for=held"},
		"wait-settled-held":    {"nothing moves by itself, and the code says that it is held", "wait shop/checkout --for=settled"},
		"wait-settled-json":    {"each line is one object", "wait shop/checkout --for=settled -o json"},
		"wait-settled-fine":    {"settled, and fine", "wait web/site --for=settled"},
		"wait-discovered":      {"a known release is discovered", "wait shop/checkout@1.9.0 --for=discovered"},
		"wait-deployed":        {"a release that bakes is deployed", "wait pay/ledger --for=deployed"},
		"wait-replaced":        {"another release was deployed after it", "wait shop/checkout@1.8.0 --for=settled"},
		"wait-people":          {"only people can help", "wait shop/checkout --fail-when-held 0s"},
		"wait-time":            {"a freeze ends by itself, so the wait goes on", "wait pay/fees --fail-when-held 0s --timeout 50ms"},
		"wait-timeout":         {"the last state is the reason", "wait pay/ledger --timeout 50ms"},
		"wait-unknown":         {"a release that is not known is waited for", "wait web/site --version 6.0.0 --timeout 50ms"},
		"wait-commit-unknown":  {"so is a commit", "wait web/site --commit 4f1c2ab --timeout 50ms"},
		"wait-short-commit":    {"too few digits", "wait web/site --commit 4f1c"},
		"wait-twice":           {"two ways to say what is waited for", "wait web/site@5.0.0 --version 5.0.0"},
		"wait-wrong-goal":      {"no such goal", "wait web/site --for=happy"},
		"wait-missing-rollout": {"no such Rollout", "wait web/page"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			clitest.Golden(t, name+".txt", clitest.New(clitest.Shop()...).Run(t, strings.Fields(c.args)...).String())
		})
	}
}

// TestWaitForCommit finds the release of a commit.
func TestWaitForCommit(t *testing.T) {
	commit := strings.TrimPrefix(clitest.Digest("1.8.2commit"), "sha256:")
	got := clitest.New(clitest.Shop()...).Run(t, "wait", "shop/checkout", "--commit", commit[:8])
	if got.Code != 0 || !strings.Contains(got.Out, "1.8.2 is Available") {
		t.Errorf("got\n%s", got)
	}
}

// TestWaitReadsTheRolloutAfterItsReleases discovers a release between the two reads. A Rollout that does not know it yet
// looks as if the release had been superseded.
func TestWaitReadsTheRolloutAfterItsReleases(t *testing.T) {
	wait := []string{"wait", "shop/checkout@1.9.0", "--for=held"}
	reads := 0
	want := clitest.New(clitest.Shop()...).Run(t, wait...).String()
	w := clitest.New(clitest.Shop()...)
	var now v1alpha1.Rollout
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "checkout"}, &now); err != nil {
		t.Fatal(err)
	}
	old := now.DeepCopy()
	old.Status.BlockedBy, old.Status.PendingVersion, old.Status.ReleaseCandidates = nil, "", nil
	old.Status.AvailableReleases = slices.DeleteFunc(old.Status.AvailableReleases,
		func(v v1alpha1.VersionInfo) bool { return v.Tag == "1.9.0" })
	if err := w.Client.Status().Update(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if old.Status.PendingVersion != "" {
		t.Fatal("the Rollout knows the release already")
	}
	w.Client = interceptor.NewClient(w.Client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.ReleaseList); ok {
				if reads++; reads == 2 { // the first read only finds the target
					now.ResourceVersion = old.ResourceVersion
					if err := c.Status().Update(ctx, &now); err != nil {
						return err
					}
				}
			}
			return c.List(ctx, list, opts...)
		},
	})
	if got := w.Run(t, wait...).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
