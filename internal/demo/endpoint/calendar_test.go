package endpoint_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/demo/endpoint"
)

func TestCalendar(t *testing.T) {
	t.Parallel()
	s, err := endpoint.Serve(t.Context(), endpoint.Application{}, endpoint.NewCalendar(map[string]string{"1.1.0": "a sale is on"}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	held, allowed := `423 {"tag":"1.1.0","allowed":false,"reason":"a sale is on"}`, `200 {"tag":"1.1.0","allowed":true}`
	cases := []struct {
		reason, method, query, want string
	}{
		{"it knows no reason against it", http.MethodGet, "?tag=1.0.0", `200 {"tag":"1.0.0","allowed":true}`},
		{"it holds the version", http.MethodGet, "?tag=1.1.0", held},
		{"asking changes nothing", http.MethodGet, "?tag=1.1.0", held},
		{"it was told", http.MethodPut, "?tag=1.1.0", allowed},
		{"it remembers", http.MethodGet, "?tag=1.1.0", allowed},
		{"there is nothing to say yes to", http.MethodGet, "", `400 {"tag":"","allowed":false,"reason":"which tag?"}`},
		{"only GET and PUT mean something", http.MethodDelete, "?tag=1.1.0", "405 Method Not Allowed"},
	}
	for _, c := range cases { // each builds on the one before
		if diff := cmp.Diff(c.want+"\n", say(t, c.method, s.URL()+endpoint.CalendarPath+c.query)); diff != "" {
			t.Errorf("%s %s: %s:\n%s", c.method, c.query, c.reason, diff)
		}
	}
}

// say makes a request and returns the status and the body of the answer.
func say(t *testing.T, method, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status[:len("200 ")] + string(body)
}
