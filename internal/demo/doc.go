// Package demo tells a story on a local cluster of real components: three releases of an application go through Kuberik, each once
// somebody has approved it and a change calendar lets it pass; one of them is bad and is stopped, and the one after it mends it.
//
// What is shown is read from the API server, as any client reads it, and so is what is checked at the end. The controller is the
// program that is installed on clusters, run as its own service account; it may be killed at any moment without the story ending
// in another way. Nothing here decides, and nothing here writes a status.
package demo
