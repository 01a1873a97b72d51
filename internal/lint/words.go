package lint

import (
	"strings"

	"github.com/kuberik/kuberik/internal/version"
)

// maxDistance is how many letters a misspelled word may differ in.
const maxDistance = 2

// nearest returns the word that somebody probably meant, or "".
func nearest(word string, words []string) string {
	best, distance := "", maxDistance+1
	for _, w := range words {
		if d := version.EditDistance(strings.ToLower(word), strings.ToLower(w)); d < distance && d < len(w) {
			best, distance = w, d
		}
	}
	return best
}

// didYouMean returns a question with the nearest word, or "".
func didYouMean(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
