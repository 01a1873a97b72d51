package see

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// resource is a kind of objects that get lists.
type resource struct {
	name    string
	aliases []string
	short   string
	// list is empty and says which objects to watch.
	list client.ObjectList
	read func(ctx context.Context, q query) (listing, error)
	// ofRollout is true if --rollout selects the objects of one Rollout.
	ofRollout bool
}

func resources() []resource {
	return []resource{
		{"rollouts", []string{"rollout", "ro"}, "List Rollouts: what runs, what is next, and what it waits for",
			&v1alpha1.RolloutList{}, rollouts, false},
		{"releases", []string{"release", "rel"}, "List releases: every version that was found, and what became of it",
			&v1alpha1.ReleaseList{}, releases, true},
		{"gates", []string{"gate", "rolloutgates", "rolloutgate"},
			"List gates, and whether they are open for the next release", &v1alpha1.RolloutGateList{}, gates, true},
		{"checks", []string{"check", "healthchecks", "healthcheck"}, "List health checks and what they report",
			&v1alpha1.HealthCheckList{}, checks, false},
		{"environments", []string{"environment", "env"}, "List environments, their order, and what runs there",
			&environments.EnvironmentList{}, places, true},
		{"approvals", []string{"approval", "appr"}, "List approvals and rejections, newest first, and whether they count",
			&v1alpha1.ApprovalList{}, approvals, false},
	}
}

// NewGet returns the verb get.
func NewGet(p *session.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "get",
		Short: "List rollouts, releases, gates, checks, environments or approvals",
		Example: `  kuberik get rollouts -A
  kuberik get releases --rollout checkout -n shop
  kuberik get gates -n shop -o wide`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, r := range resources() {
		c.AddCommand(newGet(p, r))
	}
	return c
}

func newGet(p *session.Process, r resource) *cobra.Command {
	var rollout string
	c := &cobra.Command{
		Use: r.name + " [NAME...]", Aliases: r.aliases, Short: r.short,
		Example: "  kuberik get " + r.name + " -n shop\n  kuberik get " + r.name + " -A -o json",
	}
	o := session.Options{
		List: true, Watch: true, Names: func(ctx context.Context, s *session.Session) []string { return namesOf(ctx, s, r) },
	}
	if r.ofRollout {
		c.Flags().StringVar(&rollout, "rollout", "", "show only those of this Rollout")
		o.CompleteFlags = map[string]session.Completion{"rollout": session.Rollouts}
	}
	return session.Command(p, c, o, func(ctx context.Context, s *session.Session, args []string) error {
		q, err := newQuery(s, args, rollout)
		if err != nil {
			return err
		}
		if s.Flags.Watch {
			return watchList(ctx, q, r)
		}
		return printList(ctx, q, r)
	})
}

// namesOf lists the names of a kind for completion.
func namesOf(ctx context.Context, s *session.Session, r resource) []string {
	q, err := newQuery(s, nil, "")
	if err != nil {
		return nil
	}
	l, err := r.read(ctx, q)
	if err != nil {
		return nil
	}
	var names []string
	for _, n := range l.names {
		_, name, _ := strings.Cut(n, "/")
		names = append(names, name)
	}
	return names
}

// query selects objects.
type query struct {
	*session.Session
	client  client.Client
	names   []string
	labels  labels.Selector
	rollout string
}

func newQuery(s *session.Session, names []string, rollout string) (query, error) {
	q := query{Session: s, names: names, rollout: rollout}
	var err error
	if q.labels, err = labels.Parse(s.Flags.Selector); err != nil {
		return q, exit.With(exit.Usage, fmt.Errorf("--selector: %w", err))
	}
	q.client, err = s.Client()
	return q, err
}

// list reads the objects of the namespace.
func (q query) list(ctx context.Context, list client.ObjectList) error {
	return q.client.List(ctx, list, client.InNamespace(q.Namespace()), client.MatchingLabelsSelector{Selector: q.labels})
}

// keeps reports whether an object was asked for.
func (q query) keeps(name, rollout string) bool {
	return (len(q.names) == 0 || slices.Contains(q.names, name)) && (q.rollout == "" || q.rollout == rollout)
}

// listing is what get prints.
type listing struct {
	object any
	items  []any
	names  []string
	table  func(view.Clock, view.Columns) view.Grid
}

// listingOf makes a listing from rows.
func listingOf[T any](
	kind, prefix string, rows []T, name func(T) string, table func([]T, view.Clock, view.Columns) view.Grid,
) listing {
	l := listing{
		object: view.List[T]{Meta: view.NewMeta(kind), Items: rows},
		table:  func(c view.Clock, o view.Columns) view.Grid { return table(rows, c, o) },
	}
	for _, r := range rows {
		l.items = append(l.items, r)
		l.names = append(l.names, prefix+"/"+name(r))
	}
	return l
}

func rollouts(ctx context.Context, q query) (listing, error) {
	var list v1alpha1.RolloutList
	err := q.list(ctx, &list)
	items := slices.DeleteFunc(list.Items, func(o v1alpha1.Rollout) bool { return !q.keeps(o.Name, o.Name) })
	return listingOf("RolloutList", "rollout", view.Rollouts(items), func(r view.RolloutRow) string { return r.Name },
		view.RolloutTable), err
}

func releases(ctx context.Context, q query) (listing, error) {
	var list v1alpha1.ReleaseList
	err := q.list(ctx, &list)
	items := slices.DeleteFunc(list.Items,
		func(o v1alpha1.Release) bool { return !q.keeps(o.Name, o.Spec.RolloutRef.Name) })
	slices.SortStableFunc(items, func(a, b v1alpha1.Release) int {
		if n := strings.Compare(a.Namespace+"/"+a.Spec.RolloutRef.Name, b.Namespace+"/"+b.Spec.RolloutRef.Name); n != 0 {
			return n
		}
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	return listingOf("ReleaseList", "release", view.ReleaseRows(items), func(r view.ReleaseRow) string { return r.Name },
		view.ReleaseTable), err
}

func gates(ctx context.Context, q query) (listing, error) {
	var list v1alpha1.RolloutGateList
	if err := q.list(ctx, &list); err != nil {
		return listing{}, err
	}
	var rollouts v1alpha1.RolloutList
	// Without the right to Rollouts, the state is that of the gate.
	_ = q.client.List(ctx, &rollouts, client.InNamespace(q.Namespace())) //nolint:errcheck // see above
	items := slices.DeleteFunc(list.Items,
		func(o v1alpha1.RolloutGate) bool { return !q.keeps(o.Name, o.Spec.RolloutRef.Name) })
	return listingOf("GateList", "rolloutgate", view.Gates(items, rollouts.Items),
		func(r view.GateRow) string { return r.Name }, view.GateTable), nil
}

func checks(ctx context.Context, q query) (listing, error) {
	var list v1alpha1.HealthCheckList
	err := q.list(ctx, &list)
	items := slices.DeleteFunc(list.Items, func(o v1alpha1.HealthCheck) bool { return !q.keeps(o.Name, "") })
	return listingOf("CheckList", "healthcheck", view.Checks(items), func(r view.CheckRow) string { return r.Name },
		view.CheckTable), err
}

func places(ctx context.Context, q query) (listing, error) {
	var list environments.EnvironmentList
	err := q.list(ctx, &list)
	items := slices.DeleteFunc(list.Items,
		func(o environments.Environment) bool { return !q.keeps(o.Name, o.Spec.RolloutRef.Name) })
	return listingOf("EnvironmentList", "environment", view.EnvironmentRows(items),
		func(r view.EnvironmentRow) string { return r.Name }, view.EnvironmentTable), err
}

func approvals(ctx context.Context, q query) (listing, error) {
	var list v1alpha1.ApprovalList
	err := q.list(ctx, &list)
	items := slices.DeleteFunc(list.Items, func(o v1alpha1.Approval) bool { return !q.keeps(o.Name, "") })
	return listingOf("ApprovalList", "approval", view.Approvals(items), func(r view.ApprovalRow) string { return r.Name },
		view.ApprovalTable), err
}

func printList(ctx context.Context, q query, r resource) error {
	l, err := r.read(ctx, q)
	if err != nil {
		return err
	}
	for _, name := range q.names {
		if !slices.ContainsFunc(l.names, func(n string) bool { return strings.HasSuffix(n, "/"+name) }) {
			return exit.With(exit.NotFound, fmt.Errorf("there is no %s %q %s", r.aliases[0], name, q.where()))
		}
	}
	isTable := q.Flags.Output == session.Table || q.Flags.Output == session.Wide
	if len(l.items) == 0 && isTable {
		return q.Remark(q.empty(ctx, r)...)
	}
	return q.Print(session.Document{Object: l.object, Names: l.names, Text: func(style view.Style, wide bool) []string {
		return gridLines(q.Session, q.grid(l, wide), style)
	}})
}

func (q query) grid(l listing, wide bool) view.Grid {
	return l.table(q.Clock(), view.Columns{Namespace: q.Namespace() == "", Wide: wide})
}

func (q query) where() string {
	if q.Namespace() == "" {
		return "in any namespace"
	}
	return "in namespace " + q.Namespace()
}

// empty says where was looked, and what there is elsewhere.
func (q query) empty(ctx context.Context, r resource) []string {
	what := "No " + r.name + " " + q.where()
	if q.rollout != "" {
		what += " of Rollout " + q.rollout
	}
	if !q.labels.Empty() {
		what += " with the labels " + q.labels.String()
	}
	lines := []string{what + "."}
	if q.Namespace() == "" {
		return lines
	}
	all := q
	elsewhere := *q.Flags
	elsewhere.AllNamespaces = true
	copied := *q.Session
	copied.Flags = &elsewhere
	all.Session = &copied
	if l, err := r.read(ctx, all); err == nil && len(l.items) > 0 {
		lines = append(lines, fmt.Sprintf("There are %d in other namespaces: %s get %s -A", len(l.items), q.Program, r.name))
	}
	return lines
}

// watchList prints what changes.
func watchList(ctx context.Context, q query, r resource) error {
	printed := map[string]string{}
	first := true
	return q.Follow(ctx, q.Namespace(), []client.ObjectList{r.list}, 0, func() (bool, error) {
		l, err := r.read(ctx, q)
		if err != nil {
			return false, err
		}
		err = q.printChanged(l, printed, first)
		first = false
		return false, err
	})
}

// printChanged prints the items that differ from those that were printed.
func (q query) printChanged(l listing, printed map[string]string, first bool) error {
	grid := q.grid(l, q.Flags.Output == session.Wide)
	rows := grid.Rows
	grid.Rows = nil
	for i, item := range l.items {
		text, err := json.Marshal(item)
		if err != nil {
			return err
		}
		key := strings.Join(rows[i][:2], "/") + l.names[i]
		if printed[key] == string(text) {
			continue
		}
		printed[key] = string(text)
		grid.Rows = append(grid.Rows, rows[i])
		switch q.Flags.Output {
		case session.JSON, session.YAML, session.Name:
			if err := q.PrintLine(session.Document{Object: item, Names: l.names[i : i+1]}); err != nil {
				return err
			}
		}
	}
	if len(grid.Rows) == 0 || q.Flags.Output != session.Table && q.Flags.Output != session.Wide {
		return nil
	}
	lines := grid.Lines(q.Style())
	if !first || q.Flags.Quiet {
		lines = lines[1:]
	}
	return q.Lines(lines...)
}
