package clitest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Now is the time in every test: a Friday, 12:50:03.
var Now = time.Date(2026, 5, 8, 12, 50, 3, 0, time.UTC)

// World is a cluster and a user.
type World struct {
	// Client is the cluster. Tests may change its objects between two calls.
	Client client.WithWatch
	// User is who calls. Defaults to alice.
	User string
	// Groups of the user.
	Groups []string
	// May reports whether the user has a right. Defaults to every right. It decides reviews and all requests.
	May func(view.Right) bool
	// Columns is the width of the terminal. Defaults to 0: no terminal.
	Columns int
	// Env are the environment variables.
	Env map[string]string
	// Program is how the command was called. Defaults to kuberik.
	Program string
	// Input is what the user types. Interactive is true if questions are asked.
	Input       string
	Interactive bool
	// ServerVersion is the version of the API server. Defaults to v1.36.2.
	ServerVersion string
	// Log is what every container has written.
	Log string
	// Offline is the error with which the cluster cannot be reached.
	Offline error
}

// New returns a World with objects. The user is alice, who has every right.
func New(objects ...client.Object) *World {
	w := &World{User: "alice", Program: "kuberik"}
	w.Client = fake.NewClientBuilder().WithScheme(session.Scheme()).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.Rollout{}, &v1alpha1.Release{}, &v1alpha1.RolloutGate{}, &v1alpha1.HealthCheck{},
			&v1alpha1.Approval{}, &v1alpha1.Override{}).
		WithIndex(&v1alpha1.Release{}, "spec.rolloutRef.name", func(o client.Object) []string {
			rel, ok := o.(*v1alpha1.Release)
			if !ok {
				return nil
			}
			return []string{rel.Spec.RolloutRef.Name}
		}).
		WithIndex(&v1alpha1.RolloutGate{}, "spec.rolloutRef.name", func(o client.Object) []string {
			g, ok := o.(*v1alpha1.RolloutGate)
			if !ok {
				return nil
			}
			return []string{g.Spec.RolloutRef.Name}
		}).
		WithIndex(&environments.Environment{}, "spec.rolloutRef.name", func(o client.Object) []string {
			e, ok := o.(*environments.Environment)
			if !ok {
				return nil
			}
			return []string{e.Spec.RolloutRef.Name}
		}).
		WithIndex(&v1alpha1.Approval{}, "spec.releaseRef.name", func(o client.Object) []string {
			a, ok := o.(*v1alpha1.Approval)
			if !ok {
				return nil
			}
			return []string{a.Spec.ReleaseRef.Name}
		}).Build()
	return w
}

// Result is what a call of the command did.
type Result struct {
	Out, Err string
	Code     exit.Code
}

// String returns everything that the user sees, as a golden file holds it.
func (r Result) String() string {
	text := r.Out
	if r.Err != "" {
		text += "--- error output\n" + r.Err
	}
	return text + fmt.Sprintf("[%d]\n", r.Code)
}

// Run runs the command.
func (w *World) Run(t *testing.T, args ...string) Result {
	t.Helper()
	return w.RunIn(t.Context(), args...)
}

// RunIn runs the command until a context ends.
func (w *World) RunIn(ctx context.Context, args ...string) Result {
	var out, err bytes.Buffer
	code := cli.Run(ctx, w.Process(&out, &err), args)
	return Result{out.String(), err.String(), code}
}

// Process returns the process of a call, for tests that read the output while the command runs.
func (w *World) Process(out, err *bytes.Buffer) *session.Process {
	return &session.Process{
		Program: w.Program, Path: w.Program, In: strings.NewReader(w.Input), Out: out, Err: err,
		Columns: func() int { return w.Columns }, Getenv: func(key string) string { return w.Env[key] },
		Now: func() time.Time { return Now }, Zone: time.UTC,
		Connect: func(*session.Flags) (client.WithWatch, error) {
			if w.Offline != nil {
				return nil, w.Offline
			}
			return w.asUser(), nil
		},
		Interactive:   func() bool { return w.Interactive },
		Has:           func(string) bool { return true },
		ServerVersion: func(*session.Flags) (string, error) { return w.serverVersion(), w.Offline },
		Logs: func(_ context.Context, _ *session.Flags, pod client.ObjectKey, o *corev1.PodLogOptions) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(pod.Name + "/" + o.Container + ": " + w.Log)), nil
		},
	}
}

func (w *World) serverVersion() string {
	if w.ServerVersion == "" {
		return "v1.36.2"
	}
	return w.ServerVersion
}

// may reports whether the user has a right.
func (w *World) may(r view.Right) bool { return w.May == nil || w.May(r) }

// asUser returns a client that refuses what the user may not do, and answers reviews.
func (w *World) asUser() client.WithWatch {
	check := func(verb string, o any, namespace string) error {
		r := w.right(verb, o, namespace)
		if w.may(r) {
			return nil
		}
		place := ""
		if namespace != "" {
			place = fmt.Sprintf(" in the namespace %q", namespace)
		}
		return apierrors.NewForbidden(schema.GroupResource{Group: r.Group, Resource: r.Resource}, "",
			fmt.Errorf("User %q cannot %s resource %q in API group %q%s", w.User, verb, r.Resource, r.Group, place)) //nolint:staticcheck // the words of the API server
	}
	return interceptor.NewClient(w.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object,
			opts ...client.GetOption) error {
			if err := check("get", o, key.Namespace); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			o := (&client.ListOptions{}).ApplyOptions(opts)
			if err := check("list", list, o.Namespace); err != nil {
				return err
			}
			return c.List(ctx, list, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			switch review := o.(type) {
			case *authenticationv1.SelfSubjectReview:
				review.Status.UserInfo = authenticationv1.UserInfo{Username: w.User, Groups: w.Groups}
				return nil
			case *authorizationv1.SelfSubjectAccessReview:
				a := review.Spec.ResourceAttributes
				review.Status.Allowed = w.may(view.Right{
					Verb: a.Verb, Group: a.Group, Resource: a.Resource, Namespace: a.Namespace, Name: a.Name,
				})
				return nil
			}
			if err := check("create", o, o.GetNamespace()); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch,
			opts ...client.PatchOption) error {
			if err := check("patch", o, o.GetNamespace()); err != nil {
				return err
			}
			return c.Patch(ctx, o, patch, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := check("delete", o, o.GetNamespace()); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
	})
}

// right returns the right that a request needs.
func (w *World) right(verb string, o any, namespace string) view.Right {
	r := view.Right{Verb: verb, Namespace: namespace}
	switch typed := o.(type) {
	case client.ObjectList:
		if kind, err := w.Client.GroupVersionKindFor(typed); err == nil {
			r.Group, r.Resource = kind.Group, plural(strings.TrimSuffix(kind.Kind, "List"))
		}
	case client.Object:
		if kind, err := w.Client.GroupVersionKindFor(typed); err == nil {
			r.Group, r.Resource = kind.Group, plural(kind.Kind)
		}
	}
	return r
}

func plural(kind string) string {
	lower := strings.ToLower(kind)
	if strings.HasSuffix(lower, "y") {
		return strings.TrimSuffix(lower, "y") + "ies"
	}
	return lower + "s"
}

// Only returns a function for World.May that grants some rights, each as "verb resource", and the right to read all
// kinds of Kuberik.
func Only(rights ...string) func(view.Right) bool {
	return func(r view.Right) bool {
		if strings.HasSuffix(r.Group, "kuberik.com") && (r.Verb == "get" || r.Verb == "list" || r.Verb == "watch") {
			return true
		}
		for _, right := range rights {
			if right == r.Verb+" "+r.Resource {
				return true
			}
		}
		return false
	}
}

// ErrOffline is what an API server that is down gives.
var ErrOffline = errors.New("dial tcp 127.0.0.1:6443: connect: connection refused")

// Golden compares text with a file in testdata.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
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
