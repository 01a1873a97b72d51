package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/internal/cli/exit"
)

// Format is the value of --output.
type Format string

const (
	// Table is for people.
	Table Format = "table"
	// Wide is a table with more columns.
	Wide Format = "wide"
	// JSON is for programs.
	JSON Format = "json"
	// YAML has the fields of JSON.
	YAML Format = "yaml"
	// Name prints one kind/name a line.
	Name Format = "name"
)

var formats = []Format{Table, Wide, JSON, YAML, Name}

// Options selects the flags of a verb beyond the common ones.
type Options struct {
	// List adds --all-namespaces and --selector.
	List bool
	// Target adds --all-namespaces: the target is looked for everywhere.
	Target bool
	// Watch adds --watch.
	Watch bool
	// Acts adds --dry-run and --yes, and leaves --output as it is.
	Acts bool
	// Completes is what the first argument can be. Defaults to Releases if Target is set, else to nothing.
	Completes Completion
	// Names lists what the arguments can be, if they are something else.
	Names func(context.Context, *Session) []string
	// CompleteFlags and Words list what the flags of the verb can be. The verb declares these flags before it calls
	// Command.
	CompleteFlags map[string]Completion
	Words         map[string][]string
	// Timeout is the default of --timeout. Defaults to 30s; with --watch there is no limit unless the flag is set.
	Timeout time.Duration
}

// Flags are the values of the common flags.
type Flags struct {
	// Config selects the cluster, the user and the namespace.
	Config *genericclioptions.ConfigFlags
	// AllNamespaces is --all-namespaces.
	AllNamespaces bool
	// Selector is --selector.
	Selector string
	// Output is --output.
	Output Format
	// Watch is --watch.
	Watch bool
	// Timeout is --timeout.
	Timeout time.Duration
	// NoColor, UTC and Quiet are the flags of these names.
	NoColor, UTC, Quiet bool
	// DryRun is --dry-run: none or server.
	DryRun string
	// Yes is --yes.
	Yes bool

	output string
}

const defaultTimeout = 30 * time.Second

func newFlags() *Flags {
	return &Flags{Config: &genericclioptions.ConfigFlags{
		KubeConfig: ptr.To(""), Context: ptr.To(""), Namespace: ptr.To(""), Impersonate: ptr.To(""),
		ImpersonateGroup: &[]string{},
	}}
}

// bind declares the flags.
func (f *Flags) bind(set *pflag.FlagSet, o Options) {
	f.Config.AddFlags(set)
	if o.List || o.Target {
		set.BoolVarP(&f.AllNamespaces, "all-namespaces", "A", false, "look in every namespace")
	}
	if o.List {
		set.StringVarP(&f.Selector, "selector", "l", "", "show only objects with these labels, such as app=checkout")
	}
	if o.Watch {
		set.BoolVarP(&f.Watch, "watch", "w", false, "print again what changes, until interrupted")
	}
	if o.Acts {
		set.StringVar(&f.DryRun, "dry-run", "none", "none, or server: the API server checks the request and stores nothing")
		set.BoolVar(&f.Yes, "yes", false, "ask no question")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	set.StringVarP(&f.output, "output", "o", string(Table), "table, wide, json, yaml or name")
	set.DurationVar(&f.Timeout, "timeout", o.Timeout, "how long the command may take; 0 is no limit")
	set.BoolVar(&f.NoColor, "no-color", false, "print no colors, like the environment variable NO_COLOR")
	set.BoolVar(&f.UTC, "utc", false, "print times in UTC instead of the local time zone")
	set.BoolVarP(&f.Quiet, "quiet", "q", false, "print no headings and no remarks")
}

// complete checks the values.
func (f *Flags) complete(o Options) error {
	f.Output = Format(f.output)
	if !slices.Contains(formats, f.Output) {
		return exit.Errorf(exit.Usage, "--output is %q: write table, wide, json, yaml or name", f.output)
	}
	if o.Acts && f.DryRun != "none" && f.DryRun != "server" {
		return exit.Errorf(exit.Usage, "--dry-run is %q: write none or server", f.DryRun)
	}
	if f.Timeout < 0 {
		return exit.Errorf(exit.Usage, "--timeout is %s: it is not negative", f.Timeout)
	}
	if f.AllNamespaces && f.explicitNamespace() != "" {
		return exit.Errorf(exit.Usage, "--all-namespaces and --namespace %s contradict each other", f.explicitNamespace())
	}
	return nil
}

// explicitNamespace returns --namespace, and "" if it is not set.
func (f *Flags) explicitNamespace() string {
	return strings.TrimSpace(ptr.Deref(f.Config.Namespace, ""))
}

// namespace returns --namespace, or the namespace of the context, or "default".
func (f *Flags) namespace() string {
	if explicit := f.explicitNamespace(); explicit != "" {
		return explicit
	}
	if name, _, err := f.Config.ToRawKubeConfigLoader().Namespace(); err == nil && name != "" {
		return name
	}
	return "default"
}

// Select makes a namespace the one to look in.
func (f *Flags) Select(namespace string) {
	f.AllNamespaces = false
	f.Config.Namespace = &namespace
}
