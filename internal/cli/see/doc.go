// Package see holds the verbs that show: what runs, what waits and why, what happened. One file holds one verb. A verb
// reads objects through its session, lets internal/view make the answer, and prints it. It writes nothing to the
// cluster but the reviews that ask who the user is and what they may do.
package see
