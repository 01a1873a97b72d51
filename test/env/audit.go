package env

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// Permission is a verb on a resource, as RBAC names it.
type Permission struct{ Verb, Group, Resource string }

// String returns the permission for messages.
func (r Permission) String() string { return fmt.Sprintf("%s %s.%s", r.Verb, r.Resource, r.Group) }

// Permissions reads the audit log. It returns the permissions that the controller used, and those that it was always
// denied, with the error message.
func (c *Cluster) Permissions() (used map[Permission]int, denied map[Permission]string, err error) {
	file, err := os.Open(c.Plane.AuditLog())
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() //nolint:errcheck // the file was only read
	used, denied = map[Permission]int{}, map[Permission]string{}
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
		r := Permission{e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource}
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
		// An API server that has just started denies granted permissions for a moment. Caches list only if they cannot
		// stream.
		delete(denied, r)
		if r.Verb == "watch" {
			delete(denied, Permission{"list", r.Group, r.Resource})
		}
	}
	return used, denied, lines.Err()
}
