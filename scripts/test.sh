#!/usr/bin/env bash
# Runs the named groups of tests, or all of them. Every group says its name; the first one with a failure ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."
groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(lint web rust e2e)

# Gates run the same cases every time; unset it to let property tests search.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED-20261124}

began=$SECONDS
group() { echo; echo "=== $1 (at $((SECONDS - began)) s)"; }

lint() {
  group "formatting"
  cargo fmt --all --check
  (cd frontend && npm run --silent lint)
  group "lints"
  make --no-print-directory web
  cargo clippy --workspace --all-targets --locked -- -D warnings
  group "types of the web app"
  (cd frontend && npm run --silent check)
}

web() {
  group "web app: unit tests"
  (cd frontend && npm test --silent)
  group "web app: build"
  make --no-print-directory web
}

rust() {
  make --no-print-directory web
  group "Rust: unit, property and integration tests, SQLite and PostgreSQL"
  scripts/with-postgres.sh cargo test --workspace --locked --no-fail-fast
}

e2e() {
  make --no-print-directory web tests/e2e/node_modules/.package-lock.json
  group "end to end: the server as the Rust tests build it"
  # A build of the binary alone has other features of its dependencies, and would compile most of them again.
  cargo test --workspace --locked --no-run
  group "end to end: the web app, LiveKit SDKs in Chromium and Python, recovery, leaks"
  (cd tests/e2e && npm test --silent)
  group "end to end: Firefox with Chromium, and a network that changes"
  (cd tests/e2e && ../../scripts/in-netns.sh npm run test:netns --silent)
}

for g in "${groups[@]}"; do "$g"; done
echo
echo "=== all groups passed in $((SECONDS - began)) s: ${groups[*]}"
