package script

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/kuberik/kuberik/internal/version"
)

const (
	mostLines = 5
	maxLines  = 512
	// maxLog bounds what is read of a log, whose lines may have any length.
	maxLog  = 16 << 10
	logTime = 5 * time.Second
)

// LogReader reads the last lines that a container wrote.
type LogReader interface {
	Tail(ctx context.Context, pod types.NamespacedName, container string) (string, error)
}

// Logs reads logs through the API server.
type Logs struct{ pods corev1client.PodsGetter }

// NewLogs makes a LogReader that calls the API server with a client.
func NewLogs(config *rest.Config, c *http.Client) (*Logs, error) {
	pods, err := corev1client.NewForConfigAndClient(config, c)
	if err != nil {
		return nil, fmt.Errorf("reading logs: %w", err)
	}
	return &Logs{pods: pods}, nil
}

// Tail reads the last lines of a container.
func (l *Logs) Tail(ctx context.Context, pod types.NamespacedName, container string) (string, error) {
	lines, limit := int64(mostLines), int64(maxLog)
	options := &corev1.PodLogOptions{Container: container, TailLines: &lines, LimitBytes: &limit}
	data, err := l.pods.Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
	return string(data), err
}

// lastLines is what the container that failed wrote last. Nothing depends on it, so it may be missing.
func (c *Checker) lastLines(ctx context.Context, pod *corev1.Pod) string {
	if pod == nil || len(pod.Spec.Containers) == 0 {
		return ""
	}
	name, exit := terminated(pod)
	if name == "" {
		name = pod.Spec.Containers[0].Name
	}
	var text string
	if c.Logs != nil {
		ctx, cancel := context.WithTimeout(ctx, logTime)
		defer cancel()
		if read, err := c.Logs.Tail(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, name); err == nil {
			text = read
		}
	}
	if text == "" && exit != nil {
		text = exit.Message // what the kubelet kept of the log, see the render of an image
	}
	return tidy(text)
}

// colours are the escape sequences of terminals.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]")

// tidy makes the end of a log fit to be shown: its last lines, the older ones dropped where all do not fit.
func tidy(text string) string {
	var kept []string
	size := 0
	lines := strings.Split(colours.ReplaceAllString(text, ""), "\n")
	for i := len(lines) - 1; i >= 0 && len(kept) < mostLines; i-- {
		line := strings.TrimSpace(version.Clean(lines[i], maxLines))
		if line == "" {
			continue
		}
		if size += len(line) + len(separator); size > maxLines+len(separator) {
			break
		}
		kept = append([]string{line}, kept...)
	}
	return strings.Join(kept, separator)
}

const separator = " | "
