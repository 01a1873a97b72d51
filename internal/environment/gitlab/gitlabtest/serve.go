package gitlabtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// response is the result of a handler.
type response struct {
	status int
	body   any
	header http.Header
}

func failure(status int, text string) response {
	return response{status: status, body: map[string]string{"message": text}}
}

// request is the request to a handler.
type request struct {
	*http.Request
	as   user
	id   int64
	body map[string]any
}

func (r *request) text(name string) string {
	v, _ := r.body[name].(string)
	return v
}

// only reports whether the body has no other fields.
func (r *request) only(names ...string) bool {
	for name := range r.body {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	var f *Fault
	if s.fault != nil {
		f = s.fault(r)
	}
	out := response{}
	if f == nil || f.Effect || f.Truncate {
		out = s.route(r)
		if r.Method != http.MethodGet && out.status < http.StatusBadRequest {
			s.writes++
		}
	}
	text, err := json.Marshal(out.body)
	switch {
	case err != nil:
		out.status = http.StatusInternalServerError
	case f != nil && f.Truncate:
		text = text[:len(text)/2]
	case f != nil:
		out, text = faultResponse(f), []byte(f.Body)
	}
	out.write(w, text)
}

func faultResponse(f *Fault) response {
	a := response{status: f.Status, header: http.Header{}}
	for name, value := range f.Header {
		a.header.Set(name, value)
	}
	return a
}

// write sends the response. Without a status, it closes the connection.
func (a response) write(w http.ResponseWriter, text []byte) {
	if a.status == 0 {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close() //nolint:errcheck // it may be closed already
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	if _, err := w.Write(text); err != nil {
		return // the client is gone
	}
}

// route calls the handler of a request.
func (s *Server) route(r *http.Request) response {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	name, ok := s.users[token]
	if !ok {
		return failure(http.StatusUnauthorized, "401 Unauthorized")
	}
	q := &request{Request: r, as: user{ID: int64(len(name)), Username: name}}
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&q.body) != nil {
		return failure(http.StatusBadRequest, "no JSON")
	}
	if r.URL.Path == "/api/v4/user" {
		return response{status: http.StatusOK, body: q.as}
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v4/projects/"+url.PathEscape(s.project)+"/")
	if !ok {
		return failure(http.StatusNotFound, "404 Project Not Found")
	}
	path, id, _ := strings.Cut(path, "/")
	pattern := r.Method + " " + path
	if id != "" {
		pattern += "/"
		var err error
		if q.id, err = strconv.ParseInt(id, 10, 64); err != nil {
			return failure(http.StatusBadRequest, "id is invalid")
		}
	}
	handler := map[string]func(*request) response{
		"GET snippets": s.listSnippets, "POST snippets": s.createSnippet, "PUT snippets/": s.updateSnippet,
		"GET deployments": s.listDeployments, "POST deployments": s.createDeployment, "PUT deployments/": s.updateDeployment,
		"GET environments": s.listEnvironments, "PUT environments/": s.updateEnvironment,
	}[pattern]
	if handler == nil {
		return failure(http.StatusNotFound, "404 Not Found")
	}
	return handler(q)
}

// page returns a page of a list.
func page[T any](r *request, list []T) response {
	number, size := 1, 20
	if n, err := strconv.Atoi(r.URL.Query().Get("page")); err == nil {
		number = n
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("per_page")); err == nil {
		size = min(n, 100)
	}
	from, to := min((number-1)*size, len(list)), min(number*size, len(list))
	next := ""
	if to < len(list) {
		next = strconv.Itoa(number + 1)
	}
	header := http.Header{"X-Next-Page": {next}, "X-Page": {strconv.Itoa(number)}, "X-Per-Page": {strconv.Itoa(size)}}
	return response{status: http.StatusOK, body: append([]T{}, list[from:to]...), header: header}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
