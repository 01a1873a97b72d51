package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/view"
)

// Target is what a verb is about.
type Target struct {
	// Rollout is the Rollout, or that of the release.
	Rollout *v1alpha1.Rollout
	// Releases are those of the Rollout, newest first. A known release without an object is derived from the Rollout and
	// has no name.
	Releases []v1alpha1.Release
	// Release is nil if the target is the Rollout itself.
	Release *v1alpha1.Release
}

// Target finds the object that an argument names.
func (s *Session) Target(ctx context.Context, arg string) (*Target, error) {
	ref, err := ParseReference(arg)
	if err != nil {
		return nil, err
	}
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	f := finder{Session: s, c: c, ref: ref}
	rollout, named, err := f.object(ctx)
	if err != nil {
		return nil, err
	}
	t := &Target{Rollout: rollout, Release: named}
	if t.Releases, err = s.Releases(ctx, rollout); err != nil {
		return nil, err
	}
	// A Rollout that was read before its Releases may not know the newest of them, which would look superseded.
	if t.Rollout, err = f.again(ctx, rollout); err != nil {
		return nil, err
	}
	if ref.HasVersion() {
		t.Release, err = f.version(t)
	}
	return t, err
}

// again reads a Rollout once more.
func (f finder) again(ctx context.Context, ro *v1alpha1.Rollout) (*v1alpha1.Rollout, error) {
	var next v1alpha1.Rollout
	err := f.c.Get(ctx, client.ObjectKeyFromObject(ro), &next)
	return &next, err
}

// Releases returns the releases of a Rollout, newest first.
func (s *Session) Releases(ctx context.Context, ro *v1alpha1.Rollout) ([]v1alpha1.Release, error) {
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.ReleaseList
	err = c.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{"spec.rolloutRef.name": ro.Name})
	if err != nil {
		return nil, err
	}
	return view.Releases(ro, list.Items), nil
}

// finder finds one object.
type finder struct {
	*Session
	c   client.Client
	ref Reference
}

// object returns the Rollout that the reference names, and the Release if it names one by its own name.
func (f finder) object(ctx context.Context) (*v1alpha1.Rollout, *v1alpha1.Release, error) {
	if explicit := f.Flags.explicitNamespace(); f.ref.Namespace != "" && explicit != "" && explicit != f.ref.Namespace {
		return nil, nil, exit.Errorf(exit.Usage, "%s is in namespace %s, but --namespace is %s", f.ref, f.ref.Namespace,
			explicit)
	}
	if f.Flags.AllNamespaces && f.ref.Namespace == "" {
		return f.anywhere(ctx)
	}
	key := client.ObjectKey{Namespace: f.ref.Namespace, Name: f.ref.Name}
	if key.Namespace == "" {
		key.Namespace = f.Namespace()
	}
	return f.in(ctx, key)
}

// in looks in one namespace.
func (f finder) in(ctx context.Context, key client.ObjectKey) (*v1alpha1.Rollout, *v1alpha1.Release, error) {
	var rollout *v1alpha1.Rollout
	var release *v1alpha1.Release
	var err error
	if f.ref.Kind != kindRelease {
		if rollout, err = get(ctx, f.c, key, &v1alpha1.Rollout{}); err != nil {
			return nil, nil, err
		}
	}
	if f.ref.Kind != kindRollout && !f.ref.HasVersion() {
		if release, err = get(ctx, f.c, key, &v1alpha1.Release{}); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case rollout != nil && release != nil:
		return nil, nil, exit.With(exit.Usage, fmt.Errorf("%s is both a Rollout and a Release", key),
			"write rollout/"+key.Name+" or release/"+key.Name)
	case rollout == nil && release == nil:
		return nil, nil, f.missing(ctx, key)
	case rollout == nil:
		rollout, err = f.owner(ctx, release)
	}
	return rollout, release, err
}

// owner returns the Rollout of a Release.
func (f finder) owner(ctx context.Context, rel *v1alpha1.Release) (*v1alpha1.Rollout, error) {
	key := client.ObjectKey{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}
	rollout, err := get(ctx, f.c, key, &v1alpha1.Rollout{})
	if err == nil && rollout == nil {
		err = exit.Errorf(exit.NotFound, "the Rollout %s of Release %s does not exist any more", key, rel.Name)
	}
	return rollout, err
}

// anywhere looks in every namespace.
func (f finder) anywhere(ctx context.Context) (*v1alpha1.Rollout, *v1alpha1.Release, error) {
	found, err := f.namespaces(ctx)
	if err != nil {
		return nil, nil, err
	}
	switch len(found) {
	case 0:
		return nil, nil, exit.Errorf(exit.NotFound, "there is no %s %q in any namespace", f.wanted(), f.ref.Name)
	case 1:
		return f.in(ctx, client.ObjectKey{Namespace: found[0], Name: f.ref.Name})
	}
	hints := []string{"name one of them:"}
	for _, namespace := range found {
		one := f.ref
		one.Namespace, one.Kind = namespace, ""
		hints = append(hints, "  "+one.String())
	}
	return nil, nil, exit.With(exit.Usage, fmt.Errorf("%s is in %d namespaces", f.ref.Name, len(found)), hints...)
}

// namespaces returns the namespaces of the objects that the reference may name: of Rollouts, else of Releases.
func (f finder) namespaces(ctx context.Context) (found []string, err error) {
	if f.ref.Kind != kindRelease {
		var rollouts v1alpha1.RolloutList
		if err := f.c.List(ctx, &rollouts); err != nil {
			return nil, err
		}
		for i := range rollouts.Items {
			if rollouts.Items[i].Name == f.ref.Name {
				found = append(found, rollouts.Items[i].Namespace)
			}
		}
	}
	if len(found) > 0 || f.ref.HasVersion() || f.ref.Kind == kindRollout {
		return found, nil
	}
	var releases v1alpha1.ReleaseList
	if err := f.c.List(ctx, &releases); err != nil {
		return nil, err
	}
	for i := range releases.Items {
		if releases.Items[i].Name == f.ref.Name {
			found = append(found, releases.Items[i].Namespace)
		}
	}
	return found, nil
}

func (f finder) wanted() string {
	switch {
	case f.ref.Kind == kindRelease:
		return "Release"
	case f.ref.Kind == kindRollout || f.ref.HasVersion():
		return "Rollout"
	}
	return "Rollout or Release"
}

// missing returns the error for an object that does not exist, with what exists instead.
func (f finder) missing(ctx context.Context, key client.ObjectKey) error {
	err := fmt.Errorf("there is no %s %q in namespace %s", f.wanted(), key.Name, key.Namespace)
	var here v1alpha1.RolloutList
	if f.c.List(ctx, &here, client.InNamespace(key.Namespace)) == nil && len(here.Items) > 0 {
		return exit.With(exit.NotFound, err, "Rollouts there: "+strings.Join(namesOf(here.Items), ", "))
	}
	var all v1alpha1.RolloutList
	if f.c.List(ctx, &all) != nil { // the user may not list them
		return exit.With(exit.NotFound, err, "there are no Rollouts in that namespace: choose another with --namespace")
	}
	var elsewhere []string
	for i := range all.Items {
		if all.Items[i].Name == key.Name {
			elsewhere = append(elsewhere, all.Items[i].Namespace)
		}
	}
	switch {
	case len(elsewhere) > 0:
		return exit.With(exit.NotFound, err, "it exists in "+strings.Join(elsewhere, ", ")+": add --namespace "+elsewhere[0])
	case len(all.Items) > 0:
		return exit.With(exit.NotFound, err,
			"there are no Rollouts in that namespace; "+f.Program+" get rollouts -A lists all of them")
	}
	return exit.With(exit.NotFound, err, "there are no Rollouts in this cluster")
}

func namesOf(rollouts []v1alpha1.Rollout) []string {
	const most = 10
	var names []string
	for i := range rollouts {
		names = append(names, rollouts[i].Name)
	}
	slices.Sort(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return names
}

// version returns the release of a Rollout that the reference names.
func (f finder) version(t *Target) (*v1alpha1.Release, error) {
	var found []*v1alpha1.Release
	for i := range t.Releases {
		rel := &t.Releases[i]
		if (f.ref.Tag == "" || rel.Spec.Version.Tag == f.ref.Tag) && strings.HasPrefix(view.Digest(rel), f.ref.Digest) {
			found = append(found, rel)
		}
	}
	of := t.Rollout.Namespace + "/" + t.Rollout.Name
	switch len(found) {
	case 0:
		return nil, exit.With(exit.NotFound,
			fmt.Errorf("%s has no release %s", of, strings.Trim(f.ref.Tag+"@"+f.ref.Digest, "@")), f.known(t)...)
	case 1:
		return found[0], nil
	}
	hints := []string{"name one of them by its digest:"}
	for _, rel := range found {
		name := t.Rollout.Name + "@" + view.ShortDigest(view.Digest(rel))
		found := f.Clock().At(rel.CreationTimestamp.Time)
		hints = append(hints, "  "+name+"  "+view.Clean(rel.Spec.Version.Tag)+", found "+found)
	}
	return nil, exit.With(exit.Usage, fmt.Errorf("%d releases of %s match", len(found), of), hints...)
}

func (f finder) known(t *Target) []string {
	const most = 5
	var tags []string
	for i := range t.Releases[:min(len(t.Releases), most)] {
		tags = append(tags, view.Clean(t.Releases[i].Spec.Version.Tag))
	}
	if len(tags) == 0 {
		return []string{"it has no releases yet"}
	}
	return []string{
		"the newest are " + strings.Join(tags, ", ") + "; " + f.Program + " get releases -n " + t.Rollout.Namespace +
			" lists all of them",
	}
}

// get returns an object, and nil if it does not exist.
func get[T client.Object](ctx context.Context, c client.Client, key client.ObjectKey, into T) (T, error) {
	err := c.Get(ctx, key, into)
	if apierrors.IsNotFound(err) && !isKindMissing(err) {
		var none T
		return none, nil
	}
	return into, err
}

const (
	kindRollout = "rollout"
	kindRelease = "release"
)

// kindNames are the words that may stand before the slash of a target.
var kindNames = map[string]string{
	"rollout": kindRollout, "rollouts": kindRollout, "ro": kindRollout, "rollouts.kuberik.com": kindRollout,
	"rollout.kuberik.com": kindRollout,
	"release":             kindRelease, "releases": kindRelease, "rel": kindRelease, "releases.kuberik.com": kindRelease,
	"release.kuberik.com": kindRelease,
}

// Reference is a target as people write it.
type Reference struct {
	// Kind is rollout, release, or "" if the text does not say it.
	Kind string
	// Namespace is "" if the text does not say it.
	Namespace string
	// Name of the object.
	Name string
	// Tag and Digest of the release of a Rollout. A digest may be a prefix. Both are "" for the Rollout itself.
	Tag, Digest string
}

// HasVersion reports whether the reference names a release of a Rollout.
func (r Reference) HasVersion() bool { return r.Tag != "" || r.Digest != "" }

// String returns the reference as people write it.
func (r Reference) String() string {
	text := r.Name
	switch {
	case r.Namespace != "":
		text = r.Namespace + "/" + text
	case r.Kind != "":
		text = r.Kind + "/" + text
	}
	if r.Tag != "" {
		text += "@" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	return text
}

// forms are the ways to write a target.
const forms = "write checkout, shop/checkout, rollout/checkout, checkout@1.9.0 or checkout@sha256:8c2e"

// ParseReference parses a target: checkout, shop/checkout, rollout/checkout, release/checkout-1.9.0-8c2e4f10,
// checkout@1.9.0, checkout@sha256:8c2e or checkout@1.9.0@sha256:8c2e.
func ParseReference(text string) (Reference, error) {
	object, versions, hasVersion := strings.Cut(text, "@")
	r, ok := parseObject(object)
	if !ok {
		return r, exit.Errorf(exit.Usage, "%q names no Rollout or Release: %s", text, forms)
	}
	if !hasVersion {
		return r, nil
	}
	if r.Kind == kindRelease {
		return r, exit.Errorf(exit.Usage, "%q names a Release and a version: write release/NAME, or ROLLOUT@VERSION", text)
	}
	for part := range strings.SplitSeq(versions, "@") {
		if !r.addVersion(part) {
			return r, exit.Errorf(exit.Usage, "%q names no release: %s", text, forms)
		}
	}
	return r, nil
}

// parseObject parses the part of a target before the version.
func parseObject(text string) (r Reference, ok bool) {
	before, name, hasSlash := strings.Cut(text, "/")
	if !hasSlash {
		before, name = "", text
	}
	r.Name = name
	if r.Kind = kindNames[strings.ToLower(before)]; r.Kind == "" {
		r.Namespace = before
	}
	return r, name != "" && hasSlash == (before != "") && !strings.ContainsAny(text, " \t\n") &&
		!strings.Contains(name, "/")
}

// addVersion sets the tag or the digest. It returns false if the text is neither, or one of them is set already.
func (r *Reference) addVersion(text string) bool {
	for _, algorithm := range []string{"sha256:", "sha512:"} {
		if digits, isDigest := strings.CutPrefix(text, algorithm); isDigest {
			known := r.Digest
			r.Digest = strings.ToLower(text)
			return known == "" && digits != ""
		}
	}
	known := r.HasVersion()
	r.Tag = text
	return !known && text != ""
}
