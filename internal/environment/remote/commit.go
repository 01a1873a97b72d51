package remote

import "regexp"

var fluxRevision = regexp.MustCompile(`(?:^|[@/])(?:sha1:|sha256:)?([0-9a-f]{40}|[0-9a-f]{64})$`)

// CommitOf returns the commit of a Flux revision, such as main@sha1:<commit> or the older main/<commit>. Other
// revisions are returned unchanged.
func CommitOf(revision string) string {
	if m := fluxRevision.FindStringSubmatch(revision); m != nil {
		return m[1]
	}
	return revision
}
