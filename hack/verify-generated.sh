#!/usr/bin/env bash
# Runs a command and fails if that changed, added or removed any of the files named before "--".
# It compares copies rather than asking git: changes under way do not disturb it, and an archive without git will do.
set -euo pipefail

paths=()
while [ "$1" != "--" ]; do
  paths+=("$1")
  shift
done
shift

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT

copy() { # copy DEST
  local path
  for path in "${paths[@]}"; do
    if [ -e "$path" ]; then
      mkdir -p "$1/$(dirname "$path")"
      cp -R "$path" "$1/$path"
    fi
  done
}

mkdir "$before/old" "$before/new"
copy "$before/old"
"$@"
copy "$before/new"

if ! (cd "$before" && diff -ru old new); then
  echo "generated files were not up to date; they are now: commit what changed" >&2
  exit 1
fi

# What is generated but not committed is missing from everybody else's checkout.
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
  untracked=$(git ls-files --others -- "${paths[@]}")
  if [ -n "$untracked" ]; then
    printf 'generated files are not in git; add them:\n%s\n' "$untracked" >&2
    exit 1
  fi
fi
