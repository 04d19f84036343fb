#!/usr/bin/env bash
# Runs a command in a network namespace of its own: loopback, and one test address (in E2E_NODE_IP) on a link that leads
# nowhere. Firefox never gathers loopback candidates, and nothing sent there can leave the machine.
set -euo pipefail
export E2E_NODE_IP=10.99.0.1
inside='
  ip link set lo up
  ip link add test0 type veth peer name test1
  ip addr add "$E2E_NODE_IP/24" dev test0
  ip link set test0 up
  ip link set test1 up
  ip route add default via 10.99.0.2
  exec "$@"
'
flags=--net
[ "$(id -u)" = 0 ] || flags="--map-root-user --net"
# shellcheck disable=SC2086 # the flags are words
exec unshare $flags bash -euc "$inside" bash "$@"
