package endpoint_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/demo/endpoint"
)

func TestCalendarHoldsVersions(t *testing.T) {
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
		{"the calendar holds no other version", http.MethodGet, "?tag=1.0.0", `200 {"tag":"1.0.0","allowed":true}`},
		{"the calendar holds the version", http.MethodGet, "?tag=1.1.0", held},
		{"GET changes nothing", http.MethodGet, "?tag=1.1.0", held},
		{"PUT allows the version", http.MethodPut, "?tag=1.1.0", allowed},
		{"the version stays allowed", http.MethodGet, "?tag=1.1.0", allowed},
		{"the tag is required", http.MethodGet, "", `400 {"tag":"","allowed":false,"reason":"which tag?"}`},
		{"only GET and PUT are allowed", http.MethodDelete, "?tag=1.1.0", "405 Method Not Allowed"},
	}
	for _, c := range cases { // each case depends on the one before
		if diff := cmp.Diff(c.want+"\n", request(t, c.method, s.URL()+endpoint.CalendarPath+c.query)); diff != "" {
			t.Errorf("%s %s: %s:\n%s", c.method, c.query, c.reason, diff)
		}
	}
}

// request returns the status and the body of a response.
func request(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status[:len("200 ")] + string(body)
}
