package endpoint

import (
	"encoding/json"
	"net/http"
	"sync"
)

// CalendarPath is the path of a Calendar. GET with ?tag= reads whether a version may be deployed, PUT allows it.
const CalendarPath = "/changes"

// Calendar is a change calendar: it allows the deployment of every version except those that it holds.
type Calendar struct {
	mu   sync.Mutex
	held map[string]string
}

// NewCalendar returns a Calendar that holds the versions of a map, each for a reason.
func NewCalendar(held map[string]string) *Calendar {
	c := &Calendar{held: map[string]string{}}
	for tag, reason := range held {
		c.held[tag] = reason
	}
	return c
}

// Entry is the response of a Calendar for a version.
type Entry struct {
	Tag     string `json:"tag"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason,omitempty"`
}

// ServeHTTP responds with status 200 for an allowed version, and with 423 for one that is held.
func (c *Calendar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tag := r.URL.Query().Get("tag")
	code, entry := http.StatusBadRequest, Entry{Reason: "which tag?"}
	if tag != "" {
		code, entry = c.entry(tag, r.Method == http.MethodPut)
	}
	writeJSON(w, code, entry)
}

func (c *Calendar) entry(tag string, release bool) (int, Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if release {
		delete(c.held, tag)
	}
	if reason, held := c.held[tag]; held {
		return http.StatusLocked, Entry{Tag: tag, Reason: reason}
	}
	return http.StatusOK, Entry{Tag: tag, Allowed: true}
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client may have closed the connection.
	_ = json.NewEncoder(w).Encode(body) //nolint:errcheck // see above
}
