// Command build puts the programs of the local cluster into bin/devplane, with Flux's CRDs and KWOK's stages beside
// them.
//
// The module in hack/components pins the versions. On Linux, a program whose official image has its digest in
// hack/components/images.txt is taken out of that image. All others are compiled from source by a single go build,
// which compiles each shared package once and uses every processor to the end. An image that is missing, wrong or slow
// is no error: the program is compiled instead.
//
// Each product has a stamp and is made again only if what it is made from changed, so that a run with nothing to do
// ends within seconds. A product is moved into place as a whole before its stamp is written: after an interruption
// there is either the old one or the new one. A lock makes a second run wait for the first.
//
// The flag -pin writes images.txt instead: it resolves the version tags of the official images to digests. This needs
// access to the public registries, and somebody who reviews the result.
package main
