package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// audit counts requests of one program in the audit log.
type audit struct {
	path, agent string
	offset      int64
	total       counts
}

// counts are requests by verb and resource. What was refused as a conflict is counted apart.
type counts map[string]count

type count struct {
	Requests int `json:"requests"`
	// Time at the API server, all requests together.
	Time time.Duration `json:"time"`
}

// minus returns what was counted since.
func (c counts) minus(before counts) counts {
	since := counts{}
	for what, n := range c {
		if n.Requests -= before[what].Requests; n.Requests > 0 {
			since[what] = count{n.Requests, n.Time - before[what].Time}
		}
	}
	return since
}

func (c counts) sum() int {
	sum := 0
	for _, n := range c {
		sum += n.Requests
	}
	return sum
}

// read returns what was counted so far. Without an audit log that is nothing.
func (a *audit) read() (counts, error) {
	if a.path == "" {
		return nil, nil
	}
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, err
	}
	if a.total == nil {
		a.total = counts{}
	}
	for lines := bufio.NewReaderSize(file, 1<<16); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line that is not complete is read the next time
		}
		if err != nil {
			return nil, err
		}
		a.offset += int64(len(line))
		if err := a.count(line); err != nil {
			return nil, err
		}
	}
	copied := counts{}
	for what, n := range a.total {
		copied[what] = n
	}
	return copied, nil
}

func (a *audit) count(line []byte) error {
	var e struct {
		Stage, Verb, UserAgent string
		ObjectRef              struct{ Resource, Subresource string }
		ResponseStatus         struct{ Code int }
		Received               time.Time `json:"requestReceivedTimestamp"`
		Ended                  time.Time `json:"stageTimestamp"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	if !strings.HasPrefix(e.UserAgent, a.agent) || e.Stage != "ResponseComplete" || e.Verb == "watch" {
		return nil
	}
	what := e.Verb + " " + e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		what += "/" + e.ObjectRef.Subresource
	}
	if e.ResponseStatus.Code == http.StatusConflict {
		what += " (conflict)"
	}
	n := a.total[what]
	a.total[what] = count{n.Requests + 1, n.Time + e.Ended.Sub(e.Received)}
	return nil
}
