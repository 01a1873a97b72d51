package integration

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	eventsv1 "k8s.io/api/events/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m, rightsMatch)) }

// carries returns an error unless a Kustomization has a value for a variable.
func carries(k *kustomizev1.Kustomization, variable, want string) func() error {
	return func() error {
		if k.Spec.PostBuild == nil || k.Spec.PostBuild.Substitute[variable] != want {
			return fmt.Errorf("%s is not %s", variable, want)
		}
		return nil
	}
}

// untouched returns an error if a version was handed to a Kustomization.
func untouched(k *kustomizev1.Kustomization) func() error {
	return func() error {
		if k.Spec.PostBuild != nil {
			return fmt.Errorf("it has %v", k.Spec.PostBuild.Substitute)
		}
		return nil
	}
}

// tags returns the deployed tags, newest first.
func tags(ro *v1alpha1.Rollout) []string {
	var list []string
	for _, e := range ro.Status.History {
		list = append(list, e.Version.Tag)
	}
	return list
}

// wantTags fails the test unless these tags were deployed, newest first.
func wantTags(t *testing.T, ro *v1alpha1.Rollout, want ...string) {
	t.Helper()
	if got := tags(ro); !slices.Equal(got, want) {
		t.Fatalf("deployed %v, want %v", got, want)
	}
}

// awaitEvent waits for an event about an object.
func awaitEvent(w *env.World, name, reason string) eventsv1.Event {
	w.T.Helper()
	var found eventsv1.Event
	w.Eventually("there is an event "+reason+" about "+name, func() error {
		var list eventsv1.EventList
		if err := w.Admin.List(w.Ctx(), &list, client.InNamespace(w.Namespace)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Reason == reason {
				found = e
				return nil
			}
		}
		return errors.New("there is none")
	})
	return found
}

// quarantined reports whether a Rollout has quarantined a tag.
func quarantined(ro *v1alpha1.Rollout, tag string) bool {
	return slices.ContainsFunc(ro.Status.Quarantined, func(q v1alpha1.Quarantine) bool { return q.Tag == tag })
}

func inNamespace(w *env.World) client.ListOption { return client.InNamespace(w.Namespace) }

// condition returns a condition of a Rollout; the zero value if there is none.
func condition(ro *v1alpha1.Rollout, kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(ro.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}
