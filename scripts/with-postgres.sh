#!/usr/bin/env bash
# Runs a command with a private PostgreSQL on a free loopback port, in BEDRUD_TEST_POSTGRES; removes it afterwards.
set -euo pipefail
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
dir=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# PostgreSQL refuses to run as root.
as_owner() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
[ "$(id -u)" != 0 ] || chown postgres "$dir"

cleanup() {
  as_owner "$bin/pg_ctl" -D "$dir/data" -m immediate -s stop 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT

(
  cd "$dir"
  as_owner "$bin/initdb" -D "$dir/data" -U bedrud --auth=trust --encoding=UTF8 --no-sync >/dev/null
  as_owner "$bin/pg_ctl" -D "$dir/data" -s -w -l "$dir/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir -c fsync=off" start
  as_owner "$bin/createdb" -h 127.0.0.1 -p "$port" -U bedrud bedrud_test
)

export BEDRUD_TEST_POSTGRES="postgres://bedrud@127.0.0.1:$port/bedrud_test"
"$@"
