package remote

// Observer counts requests, for metrics. Its methods are safe for concurrent use.
type Observer interface {
	// Request reports a request of an account and the status code of the response, or 0 without one. The namespace is
	// the one that has used the account first. The name of the account contains no secret.
	Request(namespace, account string, code int)
	// Left reports the requests left of the budget, and of the rate limit of the service, or -1 if that is unknown.
	Left(namespace, account string, budget, limit int)
}

// unobserved is an Observer that does nothing.
type unobserved struct{}

// Request implements Observer.
func (unobserved) Request(string, string, int) {}

// Left implements Observer.
func (unobserved) Left(string, string, int, int) {}
