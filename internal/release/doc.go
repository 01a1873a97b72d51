// Package release decides. It is the whole policy of a Rollout as one pure function, from what is observed to what is done:
//
//	         discovered
//	             │
//	         ┌───▼───┐  a newer one is taken instead   ┌────────────┐
//	         │Pending├─────────────────────────────────►│ Superseded │
//	         └───┬───┘                                  └────────────┘
//	every gate open, what runs is well, nothing in flight
//	         ┌───▼─────┐   replaced by hand in flight     ┌───────────┐
//	         │Deploying├────────────────────────────────►│ Cancelled │
//	         └───┬─────┘                                  └───────────┘
//	applied by Flux, every check healthy for this revision
//	         ┌───▼──┐   a check fails, or deployTimeout   ┌────────┐
//	         │Baking├───────────────────────────────────►│ Failed │ (from Deploying too)
//	         └───┬──┘                                     └────────┘
//	bakeTime passed, every check healthy throughout
//	         ┌───▼─────┐
//	         │Available│
//	         └─────────┘
//
// Decide takes an Observation and returns a Decision; Project turns both into the next status; Events compares two statuses.
// The controller, the command line, and the simulation call the same functions. Nothing here knows a client or a clock: the
// time is a field of the Observation, and what could not be read is a value that holds and never lets pass.
//
// The order of the rules in Rules is their precedence: the first that applies decides.
package release
