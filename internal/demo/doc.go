// Package demo tells a story on a local cluster of real components: releases of an application go to staging by themselves, and from
// there to production once somebody has approved them and a change calendar lets them pass. One of them is bad: staging stops it, so that
// production never sees it, and the one after it mends it.
//
// What is shown is read from the API server, as any client reads it, and so is what is checked at the end. The controller is the
// program that is installed on clusters, run as its own service account; it may be killed at any moment without the story ending
// in another way. Nothing here decides, and nothing here writes a status.
package demo
