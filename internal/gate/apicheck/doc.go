// Package apicheck asks a URL whether a release may pass, for gates of class http.
//
// It fails closed: no answer, an answer that cannot be read, a condition that cannot be evaluated and a request that may not be made
// are all closed, each with a reason of its own. A request that got no answer, or one that says "not now", is made again a few times;
// a clear no is believed at once. The package remembers nothing and decides nothing about when to ask: that is the controller's.
package apicheck
