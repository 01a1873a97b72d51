#!/bin/sh
# Builds the local cluster's components into bin/devplane; see build/doc.go.
set -eu
cd "$(dirname "$0")"
exec go run ./build "$@"
