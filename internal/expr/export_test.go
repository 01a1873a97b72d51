package expr

// ParseBody exports parseBody for tests.
var ParseBody = parseBody

// Uses exports uses for tests.
func (p *Program) Uses(name string) bool { return p.uses(name) }

// ErrMalformed exports errMalformed for tests.
var ErrMalformed = errMalformed
