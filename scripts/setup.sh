#!/usr/bin/env bash
# Installs what is missing and says what it installs. `build`: to build and run. `test`: also what the tests use.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
need() { # command, package
  command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}

for tool in cargo node npm; do
  command -v "$tool" >/dev/null 2>&1 || { echo "setup: '$tool' is missing: install Rust (1.89 or newer) and Node.js (20.19 or newer) first" >&2; exit 1; }
done
need cc build-essential

if [ "$what" = test ]; then
  need chromium chromium
  need firefox-esr firefox-esr
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages+=(postgresql)
  need ip iproute2
  need unshare util-linux
  need openssl openssl
  need python3 python3
  python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
  # GStreamer with the distribution's own Python: about 120 packages, 60 MB.
  /usr/bin/python3 -c 'import gi; gi.require_version("GstWebRTC", "1.0")' 2>/dev/null || packages+=(
    python3-gi gir1.2-gst-plugins-bad-1.0
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice
  )
fi

if [ ${#packages[@]} -gt 0 ]; then
  echo "setup: installing ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if [ "$what" = test ]; then
  # Two environments: the agents framework wants an older SDK than the tests of the SDK itself.
  python_env() { # directory, requirements
    cmp -s "$2" "$1/.requirements" 2>/dev/null && return
    echo "setup: Python environment $1 from $2"
    python3 -m venv "$1"
    "$1/bin/pip" install -q --disable-pip-version-check -r "$2"
    cp "$2" "$1/.requirements"
  }
  python_env .venv tests/e2e/py/requirements.txt
  python_env .venv-agents tests/e2e/py/agents-requirements.txt
fi
