package environment

// Observer is told what the requests of an outside backend cost, for metrics. Its methods are called by several at once.
type Observer interface {
	// Request was answered with a status code; 0 if it was not answered. The account names whose it was, without telling a secret.
	Request(account string, code int)
	// Left says how many requests are left of the budget, and how many the backend says it will still answer; -1 if it did not say.
	Left(account string, budget, limit int)
}

// Unobserved is an Observer that looks away.
type Unobserved struct{}

// Request implements Observer.
func (Unobserved) Request(string, int) {}

// Left implements Observer.
func (Unobserved) Left(string, int, int) {}
