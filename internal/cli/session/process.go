package session

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/view"
)

// Process is what the command gets from the operating system. Tests replace it.
type Process struct {
	// Program is how people call the command: "kuberik" or "kubectl kuberik". Help and hints show it.
	Program string
	// Path is the path with which the command was started.
	Path string
	// In, Out and Err are the standard streams.
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Columns returns the width of the terminal that Out is, and 0 if Out is no terminal.
	Columns func() int
	// Getenv returns an environment variable.
	Getenv func(string) string
	// Now returns the time.
	Now func() time.Time
	// Zone is the time zone of the user.
	Zone *time.Location
	// Connect returns the client of the cluster that the flags select.
	Connect func(*Flags) (client.WithWatch, error)
	// Interactive reports whether a question can be asked: both ends are a terminal.
	Interactive func() bool
	// ServerVersion returns the version of the API server that the flags select.
	ServerVersion func(*Flags) (string, error)
	// Logs opens the log of a container.
	Logs func(ctx context.Context, f *Flags, pod client.ObjectKey, o *corev1.PodLogOptions) (io.ReadCloser, error)
	// Has reports whether the command has a verb. Defaults to the verbs of the command.
	Has func(verb string) bool
}

// NewProcess returns the Process of the running program.
func NewProcess() *Process {
	return &Process{
		Program: programOf(os.Args[0]), Path: os.Args[0], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Columns: columns,
		Getenv: os.Getenv,
		Now:    time.Now, Zone: time.Local, Connect: Connect, ServerVersion: ServerVersion, Interactive: interactive,
		Logs: openLog,
	}
}

// programOf returns how people call a program. kubectl runs kubectl-kuberik as a plugin.
func programOf(path string) string {
	if strings.TrimSuffix(filepath.Base(path), ".exe") == "kubectl-kuberik" {
		return "kubectl kuberik"
	}
	return "kuberik"
}

// columns returns the width of the terminal. The last column stays free: a line that fills it wraps on some terminals.
func columns() int {
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0
	}
	return max(width-1, 1)
}

// interactive reports whether both ends are a terminal.
func interactive() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
}

func (p *Process) style() view.Style { return view.NewStyle(p.Columns(), p.Getenv) }
