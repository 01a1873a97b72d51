// Package limit keeps the questions to a backend within a number per time, for backends without a budget of their own.
package limit
