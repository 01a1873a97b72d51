package endpoint

import (
	"encoding/json"
	"net/http"
	"sync"
)

// CalendarPath is where a Calendar is asked about a version, with ?tag=, and told by PUT that it may go out.
const CalendarPath = "/changes"

// Calendar is a change calendar: it says which versions may be deployed now. It lets everything pass but what it holds.
type Calendar struct {
	mu   sync.Mutex
	held map[string]string
}

// NewCalendar makes a Calendar that holds versions, each for a reason.
func NewCalendar(held map[string]string) *Calendar {
	c := &Calendar{held: map[string]string{}}
	for tag, reason := range held {
		c.held[tag] = reason
	}
	return c
}

// Entry is what a Calendar says of a version.
type Entry struct {
	Tag     string `json:"tag"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason,omitempty"`
}

// ServeHTTP answers 200 for what may be deployed, and 423 for what is held.
func (c *Calendar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tag := r.URL.Query().Get("tag")
	code, entry := http.StatusBadRequest, Entry{Reason: "which tag?"}
	if tag != "" {
		code, entry = c.look(tag, r.Method == http.MethodPut)
	}
	reply(w, code, entry)
}

func (c *Calendar) look(tag string, release bool) (int, Entry) {
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

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// Who asked may be gone.
	_ = json.NewEncoder(w).Encode(body) //nolint:errcheck // see above
}
