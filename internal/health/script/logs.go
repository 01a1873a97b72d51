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
	maxLogLines = 5
	maxLogText  = 512
	// maxLog is how many bytes of a log are read, because lines may be long.
	maxLog  = 16 << 10
	logTime = 5 * time.Second
)

// LogReader reads the last lines of containers.
type LogReader interface {
	Tail(ctx context.Context, pod types.NamespacedName, container string) (string, error)
}

// Logs reads logs through the API server.
type Logs struct{ pods corev1client.PodsGetter }

// NewLogs returns a LogReader that uses a client of the API server.
func NewLogs(config *rest.Config, c *http.Client) (*Logs, error) {
	pods, err := corev1client.NewForConfigAndClient(config, c)
	if err != nil {
		return nil, fmt.Errorf("reading logs: %w", err)
	}
	return &Logs{pods: pods}, nil
}

// Tail reads the last lines of a container.
func (l *Logs) Tail(ctx context.Context, pod types.NamespacedName, container string) (string, error) {
	lines, limit := int64(maxLogLines), int64(maxLog)
	options := &corev1.PodLogOptions{Container: container, TailLines: &lines, LimitBytes: &limit}
	data, err := l.pods.Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
	return string(data), err
}

// lastLines returns the last lines of the container that failed; empty if they cannot be read.
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
		text = exit.Message // the end of the log, see TerminationMessagePolicy
	}
	return tidy(text)
}

// colours are the escape sequences of terminals.
var colours = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]")

// tidy returns the last lines of a log for a message, at most maxLogText bytes.
func tidy(text string) string {
	var kept []string
	size := 0
	lines := strings.Split(colours.ReplaceAllString(text, ""), "\n")
	for i := len(lines) - 1; i >= 0 && len(kept) < maxLogLines; i-- {
		line := strings.TrimSpace(version.Clean(lines[i], maxLogText))
		if line == "" {
			continue
		}
		if size += len(line) + len(separator); size > maxLogText+len(separator) {
			break
		}
		kept = append([]string{line}, kept...)
	}
	return strings.Join(kept, separator)
}

const separator = " | "
