package schedule

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"time"
	_ "time/tzdata" // without it, an image without time zones would close every gate
)

// zones caches time zones, because loading one takes longer than evaluating a schedule.
var zones sync.Map

var (
	errLocal    = errors.New("the time zone of the machine is not supported")
	errNotClean = errors.New("not the shortest spelling of its path")
)

// loadZone returns the time zone with an IANA name. An empty name is UTC.
func loadZone(name string) (*time.Location, error) {
	if cached, ok := zones.Load(name); ok {
		if loc, ok := cached.(*time.Location); ok {
			return loc, nil
		}
	}
	loc, err := loadUncached(name)
	if err != nil {
		return nil, fmt.Errorf("timezone %q is unknown (%w): use an IANA name such as Europe/Berlin, or UTC", name, err)
	}
	zones.Store(name, loc)
	return loc, nil
}

func loadUncached(name string) (*time.Location, error) {
	switch name {
	case "":
		return time.UTC, nil
	case "Local", "localtime":
		return nil, errLocal
	}
	if path.Clean(name) != name { // such as Europe//Berlin: each spelling would be cached
		return nil, errNotClean
	}
	return time.LoadLocation(name)
}
