// Package lease keeps a controller that lost its leader lease from writing. Leader election alone does not: a leader
// that was paused goes on for a moment before it notices that another replica has taken over.
package lease
