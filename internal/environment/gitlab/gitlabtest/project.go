package gitlabtest

import (
	"net/http"
	"regexp"
	"slices"
)

func (s *Server) listSnippets(r *request) response {
	list := slices.Clone(s.snippets)
	slices.Reverse(list) // the newest come first
	return page(r, list)
}

func (s *Server) createSnippet(r *request) response {
	files, _ := r.body["files"].([]any)
	if !r.only("title", "description", "visibility", "files") || r.text("title") == "" || len(r.text("title")) > 255 ||
		r.text("visibility") != "private" || len(files) != 1 {
		return failure(http.StatusBadRequest, "400 Bad request")
	}
	s.last++
	now := s.clock.Now()
	sn := &snippet{
		ID: s.last, Title: r.text("title"), Description: r.text("description"), Visibility: "private", Author: r.as,
		CreatedAt: now, UpdatedAt: now,
	}
	s.snippets = append(s.snippets, sn)
	return response{status: http.StatusCreated, body: sn}
}

func (s *Server) updateSnippet(r *request) response {
	i := slices.IndexFunc(s.snippets, func(sn *snippet) bool { return sn.ID == r.id })
	switch {
	case i < 0:
		return failure(http.StatusNotFound, "404 Snippet Not Found")
	case s.snippets[i].Author.Username != r.as.Username:
		return failure(http.StatusForbidden, "403 Forbidden")
	case !r.only("description") || len(r.body) == 0:
		return failure(http.StatusBadRequest, "400 Bad request")
	}
	s.snippets[i].Description, s.snippets[i].UpdatedAt = r.text("description"), s.clock.Now()
	return response{status: http.StatusOK, body: s.snippets[i]}
}

func (s *Server) listDeployments(r *request) response {
	q := r.URL.Query()
	if q.Get("order_by") != "id" || q.Get("sort") != "desc" {
		return failure(http.StatusBadRequest, "the fake supports only order_by=id and sort=desc")
	}
	var list []*deployment
	for _, d := range slices.Backward(s.deployments) {
		if name := q.Get("environment"); name == "" || name == d.Environment.Name {
			list = append(list, d)
		}
	}
	return page(r, list)
}

var (
	statuses        = []string{"running", "success", "failed", "canceled"}
	environmentName = regexp.MustCompile(`^[A-Za-z0-9_./\- {}$]{1,255}$`)
)

func (s *Server) createDeployment(r *request) response {
	_, tag := r.body["tag"].(bool)
	if !r.only("environment", "sha", "ref", "tag", "status") || !tag || !slices.Contains(statuses, r.text("status")) {
		return failure(http.StatusBadRequest, "400 Bad request")
	}
	if !environmentName.MatchString(r.text("environment")) {
		return failure(http.StatusBadRequest, "400 name has characters that are not allowed")
	}
	env := s.environment(r.text("environment"))
	if !s.commit(r.text("sha")) || !s.commit(r.text("ref")) {
		// As GitLab does, it creates the environment anyway.
		return failure(http.StatusBadRequest, "The commit does not exist")
	}
	s.last++
	now := s.clock.Now()
	d := &deployment{
		ID: s.last, IID: int64(len(s.deployments) + 1), Ref: r.text("ref"), SHA: r.text("sha"), Status: r.text("status"),
		CreatedAt: now, UpdatedAt: now,
		User: r.as, Environment: env,
	}
	s.deployments = append(s.deployments, d)
	return response{status: http.StatusCreated, body: d}
}

func (s *Server) environment(name string) *environment {
	i := slices.IndexFunc(s.environments, func(e *environment) bool { return e.Name == name })
	if i < 0 {
		s.last++
		s.environments = append(s.environments, &environment{ID: s.last, Name: name, State: "available"})
		i = len(s.environments) - 1
	}
	return s.environments[i]
}

var hash = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (s *Server) commit(name string) bool { return hash.MatchString(name) && !s.rejected[name] }

func (s *Server) updateDeployment(r *request) response {
	i := slices.IndexFunc(s.deployments, func(d *deployment) bool { return d.ID == r.id })
	if i < 0 {
		return failure(http.StatusNotFound, "404 Not found")
	}
	d := s.deployments[i]
	status := r.text("status")
	// GitLab rejects a transition to the same status, and to running.
	if !r.only("status") || !slices.Contains(statuses, status) || status == d.Status || status == "running" {
		return failure(http.StatusBadRequest, "400 Cannot transition status")
	}
	d.Status, d.UpdatedAt = status, s.clock.Now()
	return response{status: http.StatusOK, body: d}
}

func (s *Server) listEnvironments(r *request) response {
	var list []*environment
	for _, e := range s.environments {
		if e.Name == r.URL.Query().Get("name") {
			list = append(list, e)
		}
	}
	return page(r, list)
}

func (s *Server) updateEnvironment(r *request) response {
	i := slices.IndexFunc(s.environments, func(e *environment) bool { return e.ID == r.id })
	if i < 0 {
		return failure(http.StatusNotFound, "404 Not found")
	}
	if !r.only("external_url") || len(r.text("external_url")) > 255 {
		return failure(http.StatusBadRequest, "external_url is too long (maximum is 255 characters)")
	}
	s.environments[i].ExternalURL = r.text("external_url")
	return response{status: http.StatusOK, body: s.environments[i]}
}
