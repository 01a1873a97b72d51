// Package fair shares workers, time and caches among the namespaces they work for.
//
// A namespace may keep at most a share of the workers busy at the same time, and waiting namespaces take turns. So an
// item waits for the items of its own namespace, and for those of others only while so many namespaces use up their
// shares that no worker is free. How many items one of them has waiting makes no difference.
//
// A namespace may fill at most a share of a cache, and evicts only values of namespaces that have more.
package fair
