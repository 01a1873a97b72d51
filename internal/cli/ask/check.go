package ask

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/preflight"
	"github.com/kuberik/kuberik/internal/view"
)

// NewCheck returns the verb check.
func NewCheck(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "check",
		Short: "Check whether the cluster has what Kuberik needs",
		Long: `check looks at the version of Kubernetes, the CRDs, the parts of Flux, the admission policies, your rights in the
namespace, and the controller. It changes nothing and asks only the cluster.

The exit code is 1 if something is missing. What you may not read is not checked.`,
		Example: `  kuberik check
  kuberik check -n shop -o json`,
		Args: cobra.NoArgs,
	}, session.Options{}, func(ctx context.Context, s *session.Session, _ []string) error {
		results, err := preflightResults(ctx, s)
		if err != nil {
			return err
		}
		err = s.Print(checkDocument(results))
		bad := func(r preflight.Result) bool { return r.State == preflight.Failed || r.State == preflight.Warning }
		if err != nil || !slices.ContainsFunc(results, bad) {
			return err
		}
		return exit.Silently(exit.No)
	})
}

// preflightResults returns the results of all rules, by ID.
func preflightResults(ctx context.Context, s *session.Session) ([]preflight.Result, error) {
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	version, err := s.ServerVersion(s.Flags)
	if err != nil {
		return nil, err
	}
	results, err := preflight.Checker{Reader: c, ServerVersion: version, Version: buildinfo.Version}.Run(ctx)
	if err != nil {
		return nil, err
	}
	rights, err := rightsResult(ctx, s)
	results = append(results, rights)
	slices.SortFunc(results, func(a, b preflight.Result) int { return strings.Compare(a.ID, b.ID) })
	return results, err
}

// rightsResult checks what the user may do in the namespace.
func rightsResult(ctx context.Context, s *session.Session) (preflight.Result, error) {
	group, place := "kuberik.com", s.Namespace()
	var reads []view.Right
	for _, resource := range []string{"rollouts", "releases", "rolloutgates", "healthchecks", "approvals", "overrides"} {
		reads = append(reads, view.Right{Verb: "list", Group: group, Resource: resource, Namespace: place})
	}
	reads = append(reads, view.Right{Verb: "list", Group: "environments." + group, Resource: "environments",
		Namespace: place})
	acts := map[string]view.Right{
		"approve":       {Verb: "create", Group: group, Resource: "approvals", Namespace: place},
		"edit Rollouts": {Verb: "patch", Group: group, Resource: "rollouts", Namespace: place},
		"override":      {Verb: "create", Group: group, Resource: "overrides", Namespace: place},
	}
	all := slices.Clone(reads)
	for _, r := range acts {
		all = append(all, r)
	}
	may, err := s.May(ctx, all)
	if err != nil {
		return preflight.Result{}, err
	}
	var refused []string
	for _, r := range reads {
		if !may[r] {
			refused = append(refused, r.Resource)
		}
	}
	if len(refused) > 0 {
		return preflight.NewResult(preflight.Rights, preflight.Failed, "in %s you may not list %s", place,
			strings.Join(refused, ", ")), nil
	}
	allowed := []string{"see everything"}
	for name, r := range acts {
		if may[r] {
			allowed = append(allowed, name)
		}
	}
	slices.Sort(allowed[1:])
	return preflight.NewResult(preflight.Rights, preflight.OK, "in %s you may %s", place,
		strings.Join(allowed, ", ")), nil
}

// tones are how results are shown.
var tones = map[preflight.State]view.Tone{
	preflight.OK: view.Good, preflight.Warning: view.Held, preflight.Failed: view.Bad, preflight.Unknown: view.Idle,
}

func checkDocument(results []preflight.Result) session.Document {
	d := session.Document{Object: view.List[preflight.Result]{Meta: view.NewMeta("CheckList"), Items: results}}
	for _, r := range results {
		d.Names = append(d.Names, fmt.Sprintf("%s %s", r.ID, r.State))
	}
	d.Text = func(style view.Style, _ bool) (lines []string) {
		for _, r := range results {
			lines = append(lines, style.Line(view.Change{Tone: tones[r.State], Text: r.ID + "  " + view.Clean(r.Message)}))
			if r.Mend != "" {
				lines = append(lines, "        "+r.Mend)
			}
		}
		return lines
	}
	return d
}
