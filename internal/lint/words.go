package lint

import "strings"

// maxDistance is how many letters a misspelled word may differ in.
const maxDistance = 2

// nearest returns the word that somebody probably meant, or "".
func nearest(word string, words []string) string {
	best, distance := "", maxDistance+1
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), strings.ToLower(w)); d < distance && d < len(w) {
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

// editDistance returns how many letters have to be inserted, removed or replaced.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
