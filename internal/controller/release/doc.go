// Package release maintains the Releases of a Rollout: it creates one for each release that the Rollout knows, and
// derives its status from that of the Rollout. It makes no decisions, and no other controller depends on it.
package release
