// Package approval writes into the status of each Approval which gates count it, and into that of each Override whether
// it is in force, or why not. The status is for people to read: nothing is decided by it.
package approval
