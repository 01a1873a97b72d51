package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Path is the path of the application's health, after the name of a namespace.
const Path = "/healthz"

// namespace is the path parameter of the namespace.
const namespace = "namespace"

// revision is the annotation with the number of a ReplicaSet.
const revision = "deployment.kubernetes.io/revision"

// Application serves the health of an application.
type Application struct {
	// Reader reads from the cluster without a cache.
	Reader client.Reader
	// Deployment is the name of the Deployment in each namespace.
	Deployment string
	// Broken are the versions whose pods are ready but that do not work.
	Broken []string
}

// Health is the response at Path.
type Health struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// ServeHTTP responds as the version that runs in a namespace would.
func (a Application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, body := a.health(r.Context(), client.ObjectKey{Namespace: r.PathValue(namespace), Name: a.Deployment})
	writeJSON(w, code, body)
}

func (a Application) health(ctx context.Context, deployment client.ObjectKey) (int, Health) {
	version, err := a.runningVersion(ctx, deployment)
	switch {
	case err != nil:
		return http.StatusInternalServerError, Health{Status: err.Error()}
	case version == "":
		return http.StatusServiceUnavailable, Health{Status: "no pod is ready"}
	case slices.Contains(a.Broken, version):
		return http.StatusServiceUnavailable, Health{Status: "failing", Version: version}
	}
	return http.StatusOK, Health{Status: "ok", Version: version}
}

// runningVersion returns the newest version with ready pods.
func (a Application) runningVersion(ctx context.Context, deployment client.ObjectKey) (string, error) {
	sets, err := ReplicaSets(ctx, a.Reader, deployment)
	if err != nil {
		return "", err
	}
	for _, set := range slices.Backward(sets) {
		if set.Status.ReadyReplicas > 0 {
			_, tag, _ := strings.Cut(Image(set.Spec.Template.Spec.Containers[0].Image), ":")
			return tag, nil
		}
	}
	return "", nil
}

// Image returns an image without its registry and digest.
func Image(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], "@")
	return name
}

// ReplicaSets returns the ReplicaSets of a Deployment, the newest last. It returns none if the Deployment does not
// exist.
func ReplicaSets(ctx context.Context, r client.Reader, key client.ObjectKey) ([]appsv1.ReplicaSet, error) {
	var d appsv1.Deployment
	if err := r.Get(ctx, key, &d); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	var list appsv1.ReplicaSetList
	if err := r.List(ctx, &list, client.InNamespace(key.Namespace)); err != nil {
		return nil, fmt.Errorf("listing ReplicaSets: %w", err)
	}
	sets := slices.DeleteFunc(list.Items, func(s appsv1.ReplicaSet) bool { return !metav1.IsControlledBy(&s, &d) })
	slices.SortFunc(sets, func(x, y appsv1.ReplicaSet) int { return cmp.Compare(number(x), number(y)) })
	return sets, nil
}

func number(s appsv1.ReplicaSet) int {
	n, err := strconv.Atoi(s.Annotations[revision])
	if err != nil {
		return 0 // not numbered yet
	}
	return n
}

// Server listens on a loopback port.
type Server struct {
	server   *http.Server
	listener net.Listener
	failed   chan error
}

// Serve starts a server for an application and a change calendar.
func Serve(ctx context.Context, a Application, c *Calendar) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the application and the calendar: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{"+namespace+"}"+Path, a)
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		mux.Handle(method+" "+CalendarPath, c)
	}
	s := &Server{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, listener: listener,
		failed: make(chan error, 1),
	}
	go func() {
		if err := s.server.Serve(listener); err != http.ErrServerClosed {
			s.failed <- fmt.Errorf("serving the application and the calendar: %w", err)
		}
	}()
	return s, nil
}

// URL returns the URL of the server without a path.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Failed delivers an error when the server ends without Close.
func (s *Server) Failed() <-chan error { return s.failed }

// Close ends the server.
func (s *Server) Close() error { return s.server.Close() }
