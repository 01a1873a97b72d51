package v1alpha1

import "unicode/utf8"

// Bounds of the maps of a request. The schema has the same.
const (
	maxHeaders, maxHeaderName, maxHeader       = 32, 128, 2048
	maxParameters, maxParameterName, maxSource = 16, 253, 2048
)

// keyTooLarge is the only key of a map that stands in the cache for one that is larger than its bounds.
const keyTooLarge = "\x00"

// HeadersTooLarge reports whether the headers are larger than their bounds. Objects that were stored before the schema
// had them may have such headers.
func (r *HTTPRequest) HeadersTooLarge() bool {
	return isLarge(r.Headers, maxHeaders, maxHeaderName, maxHeader)
}

// QueryTooLarge reports the same of the query.
func (g *HTTPGate) QueryTooLarge() bool {
	return isLarge(g.Query, maxParameters, maxParameterName, maxSource)
}

// Trim replaces headers that are larger than their bounds with small ones that HeadersTooLarge reports as well.
func (r *HTTPRequest) Trim() {
	if r != nil && r.HeadersTooLarge() {
		r.Headers = map[string]string{keyTooLarge: ""}
	}
}

// Trim replaces headers and a query that are larger than their bounds.
func (g *HTTPGate) Trim() {
	if g == nil {
		return
	}
	g.HTTPRequest.Trim()
	if g.QueryTooLarge() {
		g.Query = map[string]string{keyTooLarge: ""}
	}
}

func isLarge(m map[string]string, entries, key, value int) bool {
	if _, trimmed := m[keyTooLarge]; trimmed || len(m) > entries {
		return true
	}
	for k, v := range m {
		if utf8.RuneCountInString(k) > key || utf8.RuneCountInString(v) > value {
			return true
		}
	}
	return false
}
