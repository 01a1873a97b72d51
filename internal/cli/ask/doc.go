// Package ask holds the verbs that wait for an answer or ask "what if". One file holds one verb. They change nothing
// in the cluster.
package ask
