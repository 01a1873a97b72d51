// Package consent reads what people have said of releases: Approvals and Overrides. It hands on only what is bound to the Release as it
// is now, and says whether the admission policies are in force that prove who said it: what people claim to be is worth nothing
// without them.
package consent
