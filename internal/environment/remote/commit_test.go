package remote

import (
	"strings"
	"testing"
)

func TestCommitOf(t *testing.T) {
	sha1 := strings.Repeat("0a", 20)
	for revision, want := range map[string]string{
		sha1: sha1, "main@sha1:" + sha1: sha1, "main/" + sha1: sha1, "sha1:" + sha1: sha1, "feature/x@sha1:" + sha1: sha1,
		"v1.2.3": "v1.2.3", "main": "main",
		"main@sha256:" + sha1 + sha1[:24]: sha1 + sha1[:24], "refs/heads/main": "refs/heads/main", "x" + sha1: "x" + sha1,
	} {
		if got := CommitOf(revision); got != want {
			t.Errorf("%s: got %s, want %s", revision, got, want)
		}
	}
}
