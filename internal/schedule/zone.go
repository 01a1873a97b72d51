package schedule

import (
	"errors"
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // an image without time zones must not close every gate
)

// zones holds the time zones that were asked for, as reading one takes longer than all the rest.
var zones sync.Map

var errLocal = errors.New("the zone of the machine cannot be meant")

// zone finds a time zone by its IANA name.
func zone(name string) (*time.Location, error) {
	if known, ok := zones.Load(name); ok {
		if loc, ok := known.(*time.Location); ok {
			return loc, nil
		}
	}
	loc, err := load(name)
	if err != nil {
		return nil, fmt.Errorf("timezone %q is not known (%w): write an IANA name such as Europe/Berlin, or UTC", name, err)
	}
	zones.Store(name, loc)
	return loc, nil
}

func load(name string) (*time.Location, error) {
	switch name {
	case "":
		return time.UTC, nil
	case "Local", "localtime":
		return nil, errLocal
	}
	return time.LoadLocation(name)
}
