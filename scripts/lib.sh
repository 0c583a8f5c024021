# Helpers that every script here sources: `. "$(dirname "$0")/lib.sh"`.
# Bash, but nothing newer than 3.2, so that macOS can run it too.
# shellcheck shell=bash

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET_DIR in /*) ;; *) TARGET_DIR=$PWD/$TARGET_DIR ;; esac

have() { command -v "$1" >/dev/null 2>&1; }

# Everything said goes to stderr: stdout is for results that another program reads.
say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# heading TEXT: a line that stands out, coloured only where a person is looking.
heading() {
  if [ -t 2 ]; then printf '\n\033[1m== %s\033[0m\n' "$*" >&2; else printf '\n== %s\n' "$*" >&2; fi
}

# wait_until SECONDS COMMAND...: true as soon as COMMAND succeeds, false when the time is up.
wait_until() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

# json_field NAME: the value of a string field of the one-line JSON object on stdin; empty when null or absent.
json_field() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p"; }

# json_number NAME: the same for a number; the last one where several have that name.
json_number() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\([-0-9.eE+]*\).*/\1/p"; }

# need_rust: a cargo at least as new as the manifest asks for, or a message that says how to get one.
need_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  have cargo || die "Rust $wanted or newer is needed and no cargo was found.
  Install it from https://rustup.rs, open a new terminal and run this again."
  found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
  [ "$(printf '%s\n' "$wanted" "$found" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$wanted" ] ||
    die "Rust $wanted or newer is needed, and this is $found. Update it: rustup update stable"
}

# on_virtual_display: windows that open from now on do so on a display that nobody sees. Who asks for it ends display_pid.
on_virtual_display() {
  local number
  number=$(mktemp)
  Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp -noreset 3>"$number" 2>/dev/null &
  display_pid=$!
  wait_until 10 test -s "$number" || die "Xvfb does not come up"
  DISPLAY=:$(cat "$number")
  export DISPLAY LIBGL_ALWAYS_SOFTWARE=1
  unset WAYLAND_DISPLAY
  rm -f "$number"
}
