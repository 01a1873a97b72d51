package env

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Permission is a verb on a resource, as RBAC names it.
type Permission struct{ Verb, Group, Resource string }

// String returns the permission for messages.
func (r Permission) String() string { return fmt.Sprintf("%s %s.%s", r.Verb, r.Resource, r.Group) }

// Request is a request that the API server has answered.
type Request struct {
	Permission
	// User who sent it, and the Agent that the program calls itself.
	User, Agent string
	// At is when it was received.
	At time.Time
	// Code is the status code of the response, and Message the error.
	Code    int
	Message string
}

// Requests reads the audit log.
func (c *Cluster) Requests() ([]Request, error) {
	file, err := os.Open(c.Plane.AuditLog())
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the file was only read
	var all []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Verb, UserAgent string
			Received        time.Time `json:"requestReceivedTimestamp"`
			User            struct{ Username string }
			ObjectRef       struct{ APIGroup, Resource, Subresource string }
			Response        struct {
				Code    int
				Message string
			} `json:"responseStatus"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if e.ObjectRef.Resource == "" {
			continue
		}
		r := Request{
			Permission{e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource}, e.User.Username, e.UserAgent, e.Received,
			e.Response.Code, e.Response.Message,
		}
		if e.ObjectRef.Subresource != "" {
			r.Resource += "/" + e.ObjectRef.Subresource
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

// Permissions reads the audit log. It returns the permissions that the controller used, and those that it was always
// denied, with the error message.
func (c *Cluster) Permissions() (used map[Permission]int, denied map[Permission]string, err error) {
	requests, err := c.Requests()
	used, denied = map[Permission]int{}, map[Permission]string{}
	for _, r := range requests {
		switch {
		case r.User != ServiceAccount:
		case r.Code == http.StatusForbidden:
			denied[r.Permission] = r.Message
		default:
			used[r.Permission]++
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
	return used, denied, err
}
