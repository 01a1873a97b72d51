package environment

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(e *environments.Environment) {
		e.Annotations = map[string]string{environments.AnnotationURL: "https://shop.example.com/"}
	})
	revision := "abc"
	current := entry(2, "0.2.0", failing)
	current.Version.Revision = &revision
	f.setHistory(current, entry(1, "0.1.0", succeeded))
	f.publishStaging(entry(1, "1.0.0", succeeded))
	f.publishOther("elsewhere", nil, entry(1, "1.0.0", succeeded))
	f.mustReconcile()
	st := f.self.Status
	var order []string
	for _, i := range st.EnvironmentInfos {
		order = append(order, i.Environment+" "+i.EnvironmentURL+" "+*i.History[0].BakeStatus)
	}
	want := []string{"staging  Succeeded", "production https://shop.example.com/ Failed"}
	if diff := gocmp.Diff(want, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if st.CurrentTag != "0.2.0" || st.CurrentVersion != "abc" ||
		!st.LastStatusChangeTime.Equal(&metav1.Time{Time: noon}) ||
		st.EnvironmentInfos[1].Relationship.Environment != "staging" {
		t.Errorf("got %+v", st)
	}
	f.neverRead, f.readErr = true, errBroken
	if _, err := f.reconcile(); err == nil {
		t.Error("no error to retry")
	}
	if len(f.self.Status.EnvironmentInfos) == 0 {
		t.Error("the environments are missing")
	}
}

// TestStatusIsBounded: many environments and long texts do not fill the status.
func TestStatusIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(
		t, func(e *environments.Environment) { e.Spec.Environment, e.Spec.Relationship.Environment = "z", "s-0" },
	)
	long := strings.Repeat("x", 900)
	for i := range 80 {
		var history []v1alpha1.DeploymentHistoryEntry
		for id := int64(15); id > 0; id-- {
			h := entry(id, fmt.Sprintf("%d.0.0", id), failing)
			h.BakeStatusMessage = &long
			history = append(history, h)
		}
		e := &environments.Environment{Spec: environments.EnvironmentSpec{
			Name: "shop", Environment: fmt.Sprintf("s-%d", i), Relationship: &environments.Relationship{
				Environment: "root", Type: environments.After,
			},
		}}
		ro := &v1alpha1.Rollout{}
		ro.UID, ro.Status.History = "u", history
		if err := f.backend.Publish(t.Context(), environment.StateOf(e, ro)); err != nil {
			t.Fatal(err)
		}
	}
	f.setHistory(entry(1, "0.1.0", succeeded))
	f.mustReconcile()
	infos := f.self.Status.EnvironmentInfos
	if len(infos) != maxInfos ||
		!slices.ContainsFunc(infos, func(i environments.EnvironmentInfo) bool { return i.Environment == "z" }) {
		t.Fatalf("%d environments, or the own one is missing", len(infos))
	}
	for _, i := range infos {
		if len(i.History) > maxHistory ||
			i.History[0].BakeStatusMessage != nil && len(*i.History[0].BakeStatusMessage) > 256 {
			t.Errorf("%s has %d entries", i.Environment, len(i.History))
		}
	}
}

func TestHistoryShowsQuarantineAndMissingTrust(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]environment.Deployment{
		"":                           {},
		"it broke":                   {StateMessage: "it broke"},
		"quarantined: it lost money": {StateMessage: "it broke", Quarantine: "it lost money", UntrustedReason: "mallory"},
		"no evidence: mallory":       {StateMessage: "it broke", UntrustedReason: "mallory"},
	} {
		got := ""
		if m := historyEntry(d).BakeStatusMessage; m != nil {
			got = *m
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRequestsForReaders: a change of a Rollout, an Environment or the labels of a namespace enqueues those that read
// its state.
func TestRequestsForReaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, o := range []*environments.Environment{
		{
			ObjectMeta: metav1.ObjectMeta{Namespace: "unrelated", Name: "same-name", UID: "4"},
			Spec:       environments.EnvironmentSpec{Name: "shop"},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "peer", UID: "1"},
			Spec:       environments.EnvironmentSpec{Name: "kuberik/shop"},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "other", UID: "2"},
			Spec:       environments.EnvironmentSpec{Name: "mail"},
		},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "outside", UID: "3"}, Spec: environments.EnvironmentSpec{
			Name: "shop", Backend: &environments.Backend{Type: environments.BackendGitHub},
		}},
	} {
		uid := o.UID
		if err := f.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		o.UID = uid
		if err := f.client.Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ns", "there"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{cluster.LabelGroup: "g"}}}
		if err := f.client.Create(t.Context(), ns); apierrors.IsAlreadyExists(err) {
			err = f.client.Update(t.Context(), ns)
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		got  []string
		want []string
	}{
		"a Rollout": {
			keys(f.controller.requestsForRollout(t.Context(), f.rollout)), []string{"ns/app", "there/peer"},
		},
		"a namespace": {
			keys(
				f.controller.requestsForNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "there"}}),
			),
			[]string{"ns/app", "there/peer", "unrelated/same-name"},
		},
		"a namespace with several": {
			keys(f.controller.requestsForNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})),
			[]string{"ns/app", "ns/other", "there/peer", "unrelated/same-name"},
		},
		"a namespace without Environments": {
			keys(f.controller.requestsForNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})),
			nil,
		},
		"an outside backend": {
			keys(
				f.controller.requestsForEnvironment(
					t.Context(),
					&environments.Environment{
						ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "outside"},
						Spec: environments.EnvironmentSpec{
							Name: "shop", Backend: &environments.Backend{Type: environments.BackendGitHub},
						},
					},
				),
			),
			[]string{"ns/outside"},
		},
	} {
		if diff := gocmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTooManyEnvironmentsOfARollout: a tenant must not make each event of a Rollout enqueue thousands of Environments, since
// the events of all tenants are handled in one place.
func TestTooManyEnvironmentsOfARollout(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range cluster.MaxEnvironments + 20 {
		e := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprintf("e-%d", i)}}
		e.Spec.Name, e.Spec.Environment, e.Spec.RolloutRef.Name = fmt.Sprintf("app-%d", i), "production", "app"
		if err := f.client.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	message := f.condition(v1alpha1.ConditionStalled).Message
	if !strings.Contains(message, "Rollout app has more than 100 Environments") {
		t.Errorf("the message is %q", message)
	}
}
