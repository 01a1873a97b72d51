package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	// maxList bounds a list, in bytes. It is less than the limit of internal/outbound, so that the error is ErrTooLong.
	maxList = 4<<20 - 1
	// maxError is how much of an error response is read, in bytes.
	maxError = 64 << 10
	// maxItems bounds the items of a list, and maxNested those of all nested lists: a short text may decode to a large
	// value.
	maxItems, maxNested = 100, 10000
	// maxDepth is the depth at which encoding/json gives up.
	maxDepth = 10000
)

// ErrTooLong is returned for a list that is too long. Request fewer items at once.
var ErrTooLong = errors.New("the response is too long: it has to be shorter than 4 MiB")

// bound reads the body of a response, and returns an error if it is larger than expected. It replaces the body by what
// it has read.
func (s *Service) bound(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	failed := resp.StatusCode >= http.StatusBadRequest
	limit := maxList
	if failed {
		limit = maxError
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, err
	case failed:
		body = body[:min(len(body), limit)]
	case len(body) > limit:
		return nil, ErrTooLong
	default:
		if err := s.measure(body); err != nil {
			return nil, err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return body, nil
}

// measure returns an error if a response contains more than expected.
func (s *Service) measure(body []byte) error {
	if len(body) > s.MaxObject && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		return fmt.Errorf("%s returned %d bytes, but at most %d are expected", s.Name, len(body), s.MaxObject)
	}
	switch items, nested := CountItems(body, s.Uncounted); {
	case items > maxItems:
		return fmt.Errorf("%s returned a page of %d items, but at most %d are expected", s.Name, items, maxItems)
	case nested > maxNested:
		return fmt.Errorf("%s returned %d items in nested lists, but at most %d are expected", s.Name, nested, maxNested)
	}
	return nil
}

// CountItems counts the items of a JSON list, and those of all lists nested in a JSON text, without decoding them.
// Items below the field uncounted of a list item do not count. It stops at the first syntax error, where decoding would
// stop too.
func CountItems(text []byte, uncounted string) (items, nested int) {
	c := counter{d: json.NewDecoder(bytes.NewReader(text)), uncounted: uncounted}
	c.d.UseNumber() // a number out of range is no error
	c.value(0, false)
	return c.items, c.nested
}

type counter struct {
	d             *json.Decoder
	uncounted     string
	items, nested int
}

// value counts the items of the next value. It returns false at a syntax error, or below the depth that encoding/json
// decodes.
func (c *counter) value(depth int, skip bool) bool {
	token, err := c.d.Token()
	switch {
	case err != nil || depth > maxDepth:
		return false
	case token == json.Delim('['):
		return c.list(depth, skip)
	case token == json.Delim('{'):
		return c.object(depth, skip)
	}
	return true
}

func (c *counter) list(depth int, skip bool) bool {
	for c.d.More() {
		if depth == 0 {
			c.items++
		} else if !skip {
			c.nested++
		}
		if !c.value(depth+1, skip) {
			return false
		}
	}
	_, err := c.d.Token()
	return err == nil
}

func (c *counter) object(depth int, skip bool) bool {
	for c.d.More() {
		key, err := c.d.Token()
		below := skip || depth == 1 && c.items > 0 && c.uncounted != "" && key == c.uncounted
		if err != nil || !c.value(depth+1, below) {
			return false
		}
	}
	_, err := c.d.Token()
	return err == nil
}
