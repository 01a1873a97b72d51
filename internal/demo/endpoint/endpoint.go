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

// Path that says, below the name of a namespace, how the application is there.
const Path = "/healthz"

// namespace is the part of a URL that names one.
const namespace = "namespace"

// revision is where the Deployment controller numbers the ReplicaSets of a Deployment.
const revision = "deployment.kubernetes.io/revision"

// Application is what is answered for.
type Application struct {
	// Reader of the cluster, without a cache.
	Reader client.Reader
	// Deployment of the application, in each namespace.
	Deployment string
	// Broken are the versions that run but do not work.
	Broken []string
}

// Answer is what is said at Path.
type Answer struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// ServeHTTP answers as the version that runs in a namespace would.
func (a Application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, answer := a.answer(r.Context(), client.ObjectKey{Namespace: r.PathValue(namespace), Name: a.Deployment})
	reply(w, code, answer)
}

func (a Application) answer(ctx context.Context, deployment client.ObjectKey) (int, Answer) {
	version, err := a.runs(ctx, deployment)
	switch {
	case err != nil:
		return http.StatusInternalServerError, Answer{Status: err.Error()}
	case version == "":
		return http.StatusServiceUnavailable, Answer{Status: "no pod is ready"}
	case slices.Contains(a.Broken, version):
		return http.StatusServiceUnavailable, Answer{Status: "failing", Version: version}
	}
	return http.StatusOK, Answer{Status: "ok", Version: version}
}

// runs is the newest version that has ready pods.
func (a Application) runs(ctx context.Context, deployment client.ObjectKey) (string, error) {
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

// Image is an image without its registry and its digest.
func Image(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], "@")
	return name
}

// ReplicaSets lists those of a Deployment, the newest last. There are none without a Deployment.
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

// Serve answers for an application, and for a change calendar beside it, until it is closed.
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
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, listener: listener, failed: make(chan error, 1),
	}
	go func() {
		if err := s.server.Serve(listener); err != http.ErrServerClosed {
			s.failed <- fmt.Errorf("answering for the application and the calendar: %w", err)
		}
	}()
	return s, nil
}

// URL of the server, without a path.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Failed delivers an error when the server ends that nobody closed.
func (s *Server) Failed() <-chan error { return s.failed }

// Close ends the server.
func (s *Server) Close() error { return s.server.Close() }
