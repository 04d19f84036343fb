#!/usr/bin/env bash
# API on 8090, rebuilt when a Rust source changes; web dev server with hot reload on 5173, proxying to it.
set -euo pipefail
cd "$(dirname "$0")/.."

server=
web=
stop() { [ -z "$server" ] || kill "$server" 2>/dev/null || true; [ -z "$web" ] || kill "$web" 2>/dev/null || true; }
trap stop EXIT

(cd frontend && exec npm run --silent dev) &
web=$!

fingerprint() { find src media migrations Cargo.toml -name target -prune -o -type f -printf '%T@ %p\n' | sort | cksum; }

seen=
while true; do
  now=$(fingerprint)
  if [ "$now" != "$seen" ]; then
    seen=$now
    if cargo build --bin bedrud; then
      [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; }
      target/debug/bedrud run &
      server=$!
    fi
  fi
  sleep 1
done
