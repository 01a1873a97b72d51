// Command build compiles the programs of the local cluster into bin/devplane
// and lays Flux's CRDs and KWOK's stages beside them.
//
// Each product has a stamp of what it was made from and is made again only
// when that changed, so a run with nothing to do ends in about a second. The
// stamp is written last and files are moved into place whole: an interrupted
// build leaves either the old product or the new one. A lock makes a second
// build at the same time wait for the first.
//
// hack/components/build.sh runs it.
package main
