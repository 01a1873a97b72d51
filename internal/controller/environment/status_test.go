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
	w := newWorld(t, func(e *environments.Environment) {
		e.Annotations = map[string]string{environments.AnnotationURL: "https://shop.example.com/"}
	})
	revision := "abc"
	current := entry(2, "0.2.0", failing)
	current.Version.Revision = &revision
	w.ran(current, entry(1, "0.1.0", succeeded))
	w.staging(entry(1, "1.0.0", succeeded))
	w.other("elsewhere", nil, entry(1, "1.0.0", succeeded))
	w.settle()
	st := w.self.Status
	var order []string
	for _, i := range st.EnvironmentInfos {
		order = append(order, i.Environment+" "+i.EnvironmentURL+" "+*i.History[0].BakeStatus)
	}
	want := []string{"staging  Succeeded", "production https://shop.example.com/ Failed"}
	if diff := gocmp.Diff(want, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if st.CurrentTag != "0.2.0" || st.CurrentVersion != "abc" || !st.LastStatusChangeTime.Equal(&metav1.Time{Time: noon}) || st.EnvironmentInfos[1].Relationship.Environment != "staging" {
		t.Errorf("it shows %+v", st)
	}
	w.silent, w.readErr = true, errBroken
	if _, err := w.reconcile(); err == nil {
		t.Error("it should be tried again")
	}
	if len(w.self.Status.EnvironmentInfos) == 0 {
		t.Error("it shows nothing")
	}
}

// TestStatusIsBounded: whoever makes many environments and long texts does not fill the status.
func TestStatusIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(e *environments.Environment) { e.Spec.Environment, e.Spec.Relationship.Environment = "z", "s-0" })
	long := strings.Repeat("x", 900)
	for i := range 80 {
		var history []v1alpha1.DeploymentHistoryEntry
		for id := int64(15); id > 0; id-- {
			h := entry(id, fmt.Sprintf("%d.0.0", id), failing)
			h.BakeStatusMessage = &long
			history = append(history, h)
		}
		e := &environments.Environment{Spec: environments.EnvironmentSpec{
			Name: "shop", Environment: fmt.Sprintf("s-%d", i), Relationship: &environments.Relationship{Environment: "root", Type: environments.After},
		}}
		ro := &v1alpha1.Rollout{}
		ro.UID, ro.Status.History = "u", history
		if err := w.backend.Publish(t.Context(), environment.Of(e, ro)); err != nil {
			t.Fatal(err)
		}
	}
	w.ran(entry(1, "0.1.0", succeeded))
	w.settle()
	infos := w.self.Status.EnvironmentInfos
	if len(infos) != mostInfos || !slices.ContainsFunc(infos, func(i environments.EnvironmentInfo) bool { return i.Environment == "z" }) {
		t.Fatalf("it shows %d, and perhaps not itself", len(infos))
	}
	for _, i := range infos {
		if len(i.History) > mostHistory || i.History[0].BakeStatusMessage != nil && len(*i.History[0].BakeStatusMessage) > 256 {
			t.Errorf("of %s it shows %d entries", i.Environment, len(i.History))
		}
	}
}

func TestWhatItTellsOfDoubtAndQuarantine(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]environment.Deployment{
		"":                           {},
		"it broke":                   {StateMessage: "it broke"},
		"quarantined: it lost money": {StateMessage: "it broke", Quarantine: "it lost money", UntrustedReason: "mallory"},
		"no evidence: mallory":       {StateMessage: "it broke", UntrustedReason: "mallory"},
	} {
		got := ""
		if m := shown(d).BakeStatusMessage; m != nil {
			got = *m
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWhoIsReached: what happens to a Rollout, an Environment or the labels of a namespace reaches those that meet.
func TestWhoIsReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, o := range []*environments.Environment{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "stranger", Name: "namesake", UID: "4"}, Spec: environments.EnvironmentSpec{Name: "shop"}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "there", Name: "peer", UID: "1"}, Spec: environments.EnvironmentSpec{Name: "kuberik/shop"}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "other", UID: "2"}, Spec: environments.EnvironmentSpec{Name: "mail"}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "away", UID: "3"}, Spec: environments.EnvironmentSpec{
			Name: "shop", Backend: &environments.Backend{Type: environments.BackendGitHub},
		}},
	} {
		uid := o.UID
		if err := w.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		o.UID = uid
		if err := w.client.Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ns", "there"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{cluster.LabelGroup: "g"}}}
		if err := w.client.Create(t.Context(), ns); apierrors.IsAlreadyExists(err) {
			err = w.client.Update(t.Context(), ns)
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
		"a Rollout":                  {keys(w.controller.ofRollout(t.Context(), w.rollout)), []string{"ns/app", "there/peer"}},
		"a namespace":                {keys(w.controller.ofNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "there"}})), []string{"ns/app", "stranger/namesake", "there/peer"}},
		"a namespace with several":   {keys(w.controller.ofNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})), []string{"ns/app", "ns/other", "stranger/namesake", "there/peer"}},
		"one that has none":          {keys(w.controller.ofNamespace(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})), nil},
		"one that meets others away": {keys(w.controller.ofSibling(t.Context(), &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "away"}, Spec: environments.EnvironmentSpec{Name: "shop", Backend: &environments.Backend{Type: environments.BackendGitHub}}})), []string{"ns/away"}},
	} {
		if diff := gocmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTooManyEnvironmentsOfARollout: whoever may write Environments could make each event of a Rollout reach thousands of them, in the one
// place where the events of all tenants are handled.
func TestTooManyEnvironmentsOfARollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range cluster.Most + 20 {
		e := &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprintf("e-%d", i)}}
		e.Spec.Name, e.Spec.Environment, e.Spec.RolloutRef.Name = fmt.Sprintf("app-%d", i), "production", "app"
		if err := w.client.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.reconcile(); err != nil {
		t.Fatal(err)
	}
	if c := w.condition(v1alpha1.ConditionStalled); !strings.Contains(c.Message, "more than 100 Environments are of Rollout app") {
		t.Errorf("it says %+v", c)
	}
}
