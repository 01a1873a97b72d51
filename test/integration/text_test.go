package integration

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestTextOfPeopleIsOneLine: terminals show text that people write, and escape or direction characters would change it.
func TestTextOfPeopleIsOneLine(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	create := func(o client.Object) error { return w.Admin.Create(w.Ctx(), o, client.DryRunAll) }
	approval := func(text string) client.Object {
		return &v1alpha1.Approval{ObjectMeta: w.Meta("a"), Spec: v1alpha1.ApprovalSpec{
			ReleaseRef: v1alpha1.ReleaseReference{Name: "app"}, Decision: v1alpha1.Approve, User: administrator, Comment: text,
		}}
	}
	override := func(text string) client.Object {
		return &v1alpha1.Override{ObjectMeta: w.Meta("o"), Spec: v1alpha1.OverrideSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: "app"}, Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates}, User: administrator,
			Reason: text, ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)),
		}}
	}
	inGroup := func(group string) client.Object {
		o := override("the shop is down").(*v1alpha1.Override)
		o.Spec.Groups = []string{group}
		return o
	}
	for what, character := range map[string]string{
		"escape": "\x1b[2K", "line feed": "\n", "carriage return": "\r", "backspace": "\b", "C1 control": "\u009b", "override": "\u202e", "isolate": "\u2066",
		"mark": "\u200f", "Arabic mark": "\u061c", "line separator": "\u2028", "no width": "\u200b", "byte order mark": "\ufeff",
	} {
		text := "the shop is " + character + "down"
		for field, o := range map[string]client.Object{"comment": approval(text), "reason": override(text), "a group": inGroup(text)} {
			if err := create(o); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), field+" is one line of text") {
				t.Errorf("%s in %s: %v", what, field, err)
			}
		}
	}
	for _, text := range []string{"the shop is down: 100 % of requests fail!", "Geschäft zu – später", "店が落ちています、急いで", "الموقع معطل", "🚒 it burns"} {
		for _, o := range []client.Object{approval(text), override(text)} {
			if err := create(o); err != nil {
				t.Errorf("%q is refused: %v", text, err)
			}
		}
	}
}

// administrator is the user of the tests.
const administrator = "admin"

// TestOverridePrintsWhenItEnds: kubectl prints a date column as an age, and a future time as <invalid>.
func TestOverridePrintsWhenItEnds(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	w.Create(&v1alpha1.Override{ObjectMeta: metav1.ObjectMeta{Name: "o"}, Spec: v1alpha1.OverrideSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: "app"}, Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates}, User: administrator,
		Reason: "the shop is down", ExpiresAt: metav1.NewTime(ends),
	}})
	if got := table(t, w, "overrides")["Expires"]; got != ends.Format(time.RFC3339) {
		t.Errorf("it prints %q", got)
	}
}
