// Package release keeps the Release objects of a Rollout: it makes one for each release that the Rollout knows, and writes into
// its status what the record of the Rollout says of it. It decides nothing, and nothing waits for it.
package release
