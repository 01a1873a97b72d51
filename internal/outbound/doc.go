// Package outbound makes the requests that users ask the controller to make: to the endpoint of a check, to a Prometheus, to an API
// that answers for a gate.
//
// Who may write a check chooses the URL, and the controller stands where its author may not: inside the network, with Secrets at
// hand. So every such request goes through here, and
//
//   - the address is judged when it is dialled, after the name was looked up, so that neither a redirect nor a name that changes its
//     mind leads to this machine, to the link or to a metadata service;
//   - a Secret is sent only to hosts that it names itself, in an annotation;
//   - time, size and redirects are bounded, and there is no proxy that the environment could bring in;
//   - an error is a sentence of ours, the same for the same state of affairs. It holds nothing of the answer, and nothing secret.
//
// The package decides nothing about the answer.
package outbound
