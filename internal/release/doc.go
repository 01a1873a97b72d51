// Package release decides what to do about a Rollout. It is one pure function from an observation to actions:
//
//	         discovered
//	             │
//	         ┌───▼───┐  a newer one is taken instead   ┌────────────┐
//	         │Pending├─────────────────────────────────►│ Superseded │
//	         └───┬───┘                                  └────────────┘
//	every gate open, the running version healthy, nothing in flight
//	         ┌───▼─────┐   replaced by a person           ┌───────────┐
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
// Decide takes an Observation and returns a Decision, Project turns both into the next status, and Events compares two
// statuses. The controller, the command line and the simulation call the same functions. The package has no client and
// no clock: the time is a field of the Observation, and data that could not be read is a value that holds the release.
//
// The order of the rules in Rules is their precedence: the first that applies decides.
package release
