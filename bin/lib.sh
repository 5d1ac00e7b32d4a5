# Shell functions that the commands in bin/ share. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
started_at=$SECONDS

# say TEXT...   one line of progress, with the seconds since the command started
say() { printf '[%4d s] %s\n' $((SECONDS - started_at)) "$*" >&2; }

# die TEXT...   one line on stderr and exit status 2: the command was misused or can't go on
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 2; }

# usage   prints the comment at the top of the calling script
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# step TEXT COMMAND...   runs a command with its output in a log; shows the log only if the command fails
step() {
  local text=$1 log begin=$SECONDS
  shift
  mkdir -p "$root/build/log"
  log="$root/build/log/$(printf '%s' "$text" | tr -cs 'A-Za-z0-9' '-').log"
  say "$text ..."
  if ! "$@" >"$log" 2>&1; then
    tail -n 200 "$log" >&2
    printf '%s: %s failed; all of it is in %s\n' "$(basename "$0")" "$text" "$log" >&2
    exit 1
  fi
  say "$text: done in $((SECONDS - begin)) s"
}

# configure PRESET [ARGUMENT...]   configures build/PRESET unless that was done already with these arguments
configure() {
  local preset=$1 stamp="$root/build/$1/.configured"
  shift
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$*" ] && return
  step "configuring $preset" cmake -S "$root" --preset "$preset" "$@"
  printf '%s' "$*" >"$stamp"
}

# build_dev       unit tests with AddressSanitizer and UndefinedBehaviorSanitizer
# build_release   the executable and the Python package, as they are shipped
build_dev() {
  configure dev
  step "building the unit tests (ASan, UBSan)" ninja -C "$root/build/dev"
}
build_release() {
  configure release -DHEADROOM_TESTS=OFF
  step "building headroom" ninja -C "$root/build/release"
}
