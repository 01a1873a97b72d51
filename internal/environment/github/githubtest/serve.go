package githubtest

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

const hour = time.Hour

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !readAll(r) {
		return
	}
	s.mu.Lock()
	var fault *Fault
	if s.fault != nil {
		fault = s.fault(r)
	}
	var response *httptest.ResponseRecorder
	if fault == nil || fault.Effect || fault.Truncate {
		response = s.respond(r)
	}
	s.mu.Unlock()
	if fault != nil && fault.Hang {
		<-r.Context().Done()
		return
	}
	if fault != nil && !fault.Truncate {
		response = faultResponse(fault)
	}
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	maps.Copy(w.Header(), response.Header())
	text := fault.truncate(response.Body.Bytes())
	s.mu.Lock()
	s.calls = append(s.calls, Call{Method: r.Method, Path: r.URL.RequestURI(), Status: response.Code})
	s.mu.Unlock()
	w.WriteHeader(response.Code)
	if _, err := w.Write(text); err != nil {
		return
	}
}

// truncate returns the first half of a response, if that is the fault.
func (f *Fault) truncate(text []byte) []byte {
	if f == nil || !f.Truncate {
		return text
	}
	return text[:len(text)/2]
}

// readAll reads the body of a request. Only then does the server notice that the client closes the connection.
func readAll(r *http.Request) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil
}

func faultResponse(f *Fault) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	w.Body.WriteString(
		cmp.Or(f.Body, `{"message": "broken on purpose", "documentation_url": "https://docs.github.com/rest"}`),
	)
	return w
}

// respond returns the regular response. The lock is held.
func (s *Server) respond(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	login, ok := s.login(r)
	switch {
	case !ok:
		fail(w, http.StatusUnauthorized, "Bad credentials")
	case s.limited(w):
		fail(w, http.StatusForbidden, "API rate limit exceeded for user.")
	case path == "/user":
		s.unchanged(w, r, user(login, "User"))
	case path == "/app":
		s.serveApp(w, login)
	case strings.HasPrefix(path, "/app/installations/"):
		s.serveToken(w, path, login)
	default:
		s.serveRepository(w, r, strings.Split(strings.TrimPrefix(path, "/"), "/"), login)
	}
	if w.Code != http.StatusNotModified {
		s.used++
	}
	return w
}

// limited reports whether the primary rate limit is reached.
func (s *Server) limited(w http.ResponseWriter) bool {
	limit := cmp.Or(s.Limit, 5000)
	if now := s.now(); now.Sub(s.window) >= hour {
		s.window, s.used = now, 0
	}
	left := max(limit-s.used-1, 0)
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(left))
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.window.Add(hour).Unix(), 10))
	return s.used >= limit
}

// login returns the login of the credentials. For a request of the App itself, it is "app/" and its ID.
func (s *Server) login(r *http.Request) (string, bool) {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if login, ok := s.logins[token]; ok {
		return login, true
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(claims, &c) != nil {
		return "", false
	}
	id, err := strconv.ParseInt(c.Issuer, 10, 64)
	signature, err2 := base64.RawURLEncoding.DecodeString(parts[2])
	a := s.apps[id]
	if err != nil || err2 != nil || a == nil {
		return "", false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return "app/" + c.Issuer, rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) == nil
}

func (s *Server) serveApp(w http.ResponseWriter, login string) {
	id, err := strconv.ParseInt(strings.TrimPrefix(login, "app/"), 10, 64)
	if err != nil || s.apps[id] == nil {
		fail(w, http.StatusUnauthorized, "A JSON web token could not be decoded")
		return
	}
	send(w, http.StatusOK, map[string]any{
		"id": id, "slug": s.apps[id].slug, "node_id": "A_1", "owner": user("octo-org", "Organization"),
		"name":        s.apps[id].slug,
		"description": "", "external_url": "https://example.com", "html_url": "https://github.com/apps/" + s.apps[id].slug,
		"created_at": s.now(), "updated_at": s.now(), "permissions": map[string]string{
			"deployments": "write", "metadata": "read",
		}, "events": []string{},
	})
}

func (s *Server) serveToken(w http.ResponseWriter, path, login string) {
	id, err := strconv.ParseInt(strings.TrimPrefix(login, "app/"), 10, 64)
	a := s.apps[id]
	if err != nil || a == nil || path != "/app/installations/"+strconv.FormatInt(a.installation, 10)+"/access_tokens" {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	token := "ghs_" + strconv.FormatInt(id, 10) + "_" + strconv.Itoa(len(s.logins))
	s.logins[token] = a.slug + "[bot]"
	send(w, http.StatusCreated, map[string]any{
		// The client library uses the real clock.
		"token": token, "expires_at": time.Now().UTC().Add(hour).Truncate(time.Second),
		"permissions": map[string]string{"deployments": "write", "metadata": "read"}, "repository_selection": "selected",
	})
}

// unchanged sends a body, or 304 if the client has the same.
func (s *Server) unchanged(w http.ResponseWriter, r *http.Request, body any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	sum := sha256.Sum256(append(b.Bytes(), w.Header().Get("Link")...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.Header().Del("Link")
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(http.StatusOK)
	if _, err := b.WriteTo(w); err != nil {
		return
	}
}

func send(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.WriteHeader(code)
	if _, err := w.Write(b); err != nil {
		return
	}
}

func fail(w http.ResponseWriter, code int, message string) {
	send(
		w,
		code,
		map[string]string{
			"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(code),
		},
	)
}

func read(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// user returns a user as GitHub does.
func user(login, kind string) map[string]any {
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	u := map[string]any{
		"login": login, "id": 1 + len(login), "node_id": "U_1", "gravatar_id": "", "type": kind, "site_admin": false,
		"user_view_type": "public",
		"avatar_url":     "https://avatars.githubusercontent.com/u/1?v=4",
		"html_url":       "https://github.com/" + strings.Trim(login, "[]"),
		// GitHub returns these fields only for /user.
		"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"public_repos": 0,
		"public_gists": 0, "followers": 0, "following": 0, "created_at": "2020-01-01T00:00:00Z",
		"updated_at": "2020-01-01T00:00:00Z",
	}
	for _, name := range []string{
		"url", "followers_url", "following_url", "gists_url", "starred_url", "subscriptions_url", "organizations_url",
		"repos_url",
		"events_url", "received_events_url",
	} {
		u[name] = "https://api.github.com/users/" + strings.Trim(login, "[]") + "/" + name
	}
	return u
}
