#!/usr/bin/env bash
# Fetches GitHub's own description of its API into bin/openapi/, for the tests of internal/environment/github. Needs npm.
set -euo pipefail
cd "$(dirname "$0")/.."

version=23.0.2
file=bin/openapi/octokit-$version.json

if [ -s "$file" ]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "npm is missing: install Node.js, or do without this check" >&2
  exit 1
fi

into=$(mktemp -d)
trap 'rm -rf "$into"' EXIT
npm pack --silent --pack-destination "$into" "@octokit/openapi@$version" >/dev/null
tar -xzf "$into/octokit-openapi-$version.tgz" -C "$into" package/generated/api.github.com.json
mkdir -p bin/openapi
mv "$into/package/generated/api.github.com.json" "$file.new"
mv "$file.new" "$file"
