#!/usr/bin/env bash
# Passes `go test` output through and ends with how many packages passed, failed or have no tests, and how long it took.
set -euo pipefail

# srand() seeds with the time and returns the seed before: the one clock that every awk has.
exec awk '
  BEGIN { srand(); start = srand() }
  { print; fflush() }
  /^ok[ \t]/ { passed++ }
  /^FAIL\t/ { failed++; names = names "\n  " $2 }
  /\[no test files\]$/ { none++ }
  END {
    srand()
    printf "\npackages: %d passed, %d failed, %d without tests, in %ds%s\n", passed, failed, none, srand() - start, names
  }
'
