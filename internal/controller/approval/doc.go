// Package approval writes into the status of each Approval which gates count it, or why none does. The status is for
// people to read: the gates do not use it.
package approval
