// Package outbound sends the requests that users configure: to the endpoint of a check, to Prometheus, to the API of a
// gate.
//
// Users who may write a check choose the URL, and the controller has access that they may lack: to the network and to
// Secrets. So every such request goes through this package, and
//
//   - the address is checked when it is dialled, after the name was resolved, so that neither a redirect nor a changed
//     DNS record leads
//     to this machine, to the link or to a metadata service;
//   - a Secret is sent only to the hosts in its annotation;
//   - time, size and redirects are limited, and proxies of the environment are not used;
//   - the text of an error is stable and contains neither the response nor secrets.
//
// The package does not interpret responses.
package outbound
