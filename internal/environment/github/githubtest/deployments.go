package githubtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxDescription bounds the description of a status.
const maxDescription = 140

// serveRepository serves /repos/owner/name/deployments and what is below it.
func (s *Server) serveRepository(w http.ResponseWriter, r *http.Request, path []string, login string) {
	if len(path) < 4 || path[0] != "repos" || path[3] != "deployments" ||
		!s.repositories[strings.ToLower(path[1]+"/"+path[2])] {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	project := path[1] + "/" + path[2]
	switch {
	case len(path) > 4:
		s.serveDeployment(w, r, path[4:], project, login)
	case r.Method == http.MethodPost:
		s.create(w, r, project, login)
	default:
		s.list(w, r, project)
	}
}

// serveDeployment serves a deployment and its statuses.
func (s *Server) serveDeployment(w http.ResponseWriter, r *http.Request, path []string, project, login string) {
	id, err := strconv.ParseInt(path[0], 10, 64)
	i := slices.IndexFunc(
		s.deployments, func(d *deployment) bool { return d.id == id && strings.EqualFold(d.project, project) },
	)
	switch {
	case err != nil || i < 0:
		fail(w, http.StatusNotFound, "Not Found")
	case len(path) == 1:
		s.unchanged(w, r, s.deployments[i].show())
	case r.Method == http.MethodPost:
		s.createStatus(w, r, s.deployments[i], login)
	default:
		s.listStatuses(w, r, s.deployments[i])
	}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, project string) {
	q := r.URL.Query()
	var found []*deployment
	for _, d := range slices.Backward(s.deployments) {
		if strings.EqualFold(d.project, project) && matches(q, "ref", d.ref) && matches(q, "task", d.task) &&
			matches(q, "environment", d.environment) {
			found = append(found, d)
		}
	}
	found = page(w, r, found)
	if s.Shuffle {
		slices.Reverse(found)
	}
	s.unchanged(w, r, show(found, (*deployment).show))
}

func matches(q url.Values, name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }

// page returns the requested page, and links to the next.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	q := r.URL.Query()
	size, number := 30, 1
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil {
		size = min(max(n, 1), 100)
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil {
		number = max(n, 1)
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	if to < len(all) {
		q.Set("page", strconv.Itoa(number+1))
		next := url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}
		w.Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", next.String()))
	}
	return slices.Clone(all[from:to])
}

// show returns a list that is never null.
func show[T any](all []T, one func(T) map[string]any) []map[string]any {
	shown := make([]map[string]any, 0, len(all))
	for _, x := range all {
		shown = append(shown, one(x))
	}
	return shown
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, project, login string) {
	var body struct {
		Ref         string          `json:"ref"`
		Task        string          `json:"task"`
		Environment string          `json:"environment"`
		Description string          `json:"description"`
		Payload     json.RawMessage `json:"payload"`
		Production  *bool           `json:"production_environment"`
		Transient   bool            `json:"transient_environment"`
	}
	if err := read(r, &body); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	if body.Ref == "" || s.rejected[body.Ref] {
		fail(w, http.StatusUnprocessableEntity, "No ref found for: "+body.Ref)
		return
	}
	d := &deployment{
		id: s.nextID(), project: project, ref: body.Ref, task: cmp.Or(body.Task, "deploy"),
		environment: cmp.Or(body.Environment, "production"),
		description: body.Description, creator: login, payload: body.Payload, transient: body.Transient,
		production: body.Environment == "production", created: s.now(), updated: s.now(),
	}
	if body.Production != nil {
		d.production = *body.Production
	}
	if len(d.payload) == 0 {
		d.payload = json.RawMessage(`""`)
	}
	s.deployments = append(s.deployments, d)
	send(w, http.StatusCreated, d.show())
}

func (s *Server) listStatuses(w http.ResponseWriter, r *http.Request, d *deployment) {
	newestFirst := slices.Clone(d.statuses)
	slices.Reverse(newestFirst)
	s.unchanged(w, r, show(page(w, r, newestFirst), func(st *status) map[string]any { return st.show(d) }))
}

func (s *Server) createStatus(w http.ResponseWriter, r *http.Request, d *deployment, login string) {
	var body struct {
		State          string `json:"state"`
		Description    string `json:"description"`
		Environment    string `json:"environment"`
		EnvironmentURL string `json:"environment_url"`
		LogURL         string `json:"log_url"`
		AutoInactive   *bool  `json:"auto_inactive"`
	}
	if err := read(r, &body); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	known := []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
	if !slices.Contains(known, body.State) || len(body.Description) > maxDescription {
		fail(w, http.StatusUnprocessableEntity, "Validation Failed")
		return
	}
	st := s.add(d, status{
		state: body.State, description: body.Description, creator: login,
		environment:    cmp.Or(body.Environment, d.environment),
		environmentURL: body.EnvironmentURL, logURL: body.LogURL,
	})
	if body.State == "success" && (body.AutoInactive == nil || *body.AutoInactive) {
		s.deactivate(d, login)
	}
	send(w, http.StatusCreated, st.show(d))
}

func (s *Server) add(d *deployment, st status) *status {
	s.statuses++
	st.id, st.created = s.statuses, s.now()
	d.statuses = append(d.statuses, &st)
	if !s.Untouched {
		d.updated = s.now()
	}
	return &st
}

// deactivate adds a status to earlier successes, as GitHub does itself.
func (s *Server) deactivate(newest *deployment, login string) {
	for _, d := range s.deployments {
		if d.id >= newest.id || d.project != newest.project || d.environment != newest.environment || d.production ||
			d.transient {
			continue
		}
		if n := len(d.statuses); n > 0 && d.statuses[n-1].state == "success" {
			s.add(d, status{state: "inactive", creator: login, environment: d.environment})
		}
	}
}

func (d *deployment) show() map[string]any {
	self := "https://api.github.com/repos/" + d.project
	return map[string]any{
		"id": d.id, "node_id": "DE_1", "sha": "a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d", "ref": d.ref, "task": d.task,
		"payload":              d.payload,
		"original_environment": d.environment, "environment": d.environment, "description": d.description,
		"creator":    user(d.creator, "User"),
		"created_at": d.created, "updated_at": d.updated,
		"statuses_url":   fmt.Sprintf("%s/deployments/%d/statuses", self, d.id),
		"repository_url": self, "url": fmt.Sprintf("%s/deployments/%d", self, d.id),
		"transient_environment": d.transient, "production_environment": d.production,
	}
}

func (st *status) show(d *deployment) map[string]any {
	self := fmt.Sprintf("https://api.github.com/repos/%s/deployments/%d", d.project, d.id)
	return map[string]any{
		"id": st.id, "node_id": "DES_1", "state": st.state, "creator": user(st.creator, "User"),
		"description": st.description,
		"environment": st.environment, "target_url": st.logURL, "log_url": st.logURL, "environment_url": st.environmentURL,
		"created_at": st.created, "updated_at": st.created, "deployment_url": self,
		"repository_url": "https://api.github.com/repos/" + d.project,
		"url":            fmt.Sprintf("%s/statuses/%d", self, st.id),
	}
}
