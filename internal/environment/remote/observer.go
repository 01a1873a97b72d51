package remote

// Observer receives the cost of requests, for metrics. Its methods are safe for concurrent use.
type Observer interface {
	// Request reports a request of an account and the status code of the response, 0 if there was none. The name of the account
	// contains no secret.
	Request(account string, code int)
	// Left reports the requests left of the budget, and of the rate limit of the service, -1 if the service did not say.
	Left(account string, budget, limit int)
}

// unobserved is an Observer that does nothing.
type unobserved struct{}

// Request implements Observer.
func (unobserved) Request(string, int) {}

// Left implements Observer.
func (unobserved) Left(string, int, int) {}
