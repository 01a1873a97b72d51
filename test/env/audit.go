package env

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// Right is a verb on a resource, as RBAC names it.
type Right struct{ Verb, Group, Resource string }

// String names the right for people.
func (r Right) String() string { return fmt.Sprintf("%s %s.%s", r.Verb, r.Resource, r.Group) }

// Rights reads the audit log: what the controller has used of its rights, and what it was always denied, with
// what it was told.
func (c *Cluster) Rights() (used map[Right]int, denied map[Right]string, err error) {
	file, err := os.Open(c.Plane.AuditLog())
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	used, denied = map[Right]int{}, map[Right]string{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ APIGroup, Resource, Subresource string }
			Response  struct {
				Code    int
				Message string
			} `json:"responseStatus"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if e.User.Username != ServiceAccount || e.ObjectRef.Resource == "" {
			continue
		}
		r := Right{e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource}
		if e.ObjectRef.Subresource != "" {
			r.Resource += "/" + e.ObjectRef.Subresource
		}
		if e.Response.Code == http.StatusForbidden {
			denied[r] = e.Response.Message
		} else {
			used[r]++
		}
	}
	for r := range used {
		// An API server that has just started refuses for a moment what it grants. Caches list only when they cannot stream.
		delete(denied, r)
		if r.Verb == "watch" {
			delete(denied, Right{"list", r.Group, r.Resource})
		}
	}
	return used, denied, lines.Err()
}
