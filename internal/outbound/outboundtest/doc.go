// Package outboundtest is what tests need around requests that leave the controller: Secrets in memory, names that
// resolve as told, servers with certificates of any age.
package outboundtest
