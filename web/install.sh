#!/bin/sh
# Installs what package-lock.json names into node_modules, unless that is there already: web/install.sh
# Build trees of one checkout share the folder, so one waits for the other.
set -eu
cd "$(dirname "$0")"
exec flock . sh -ec '
  cmp -s package-lock.json node_modules/.installed-lock && exit
  npm ci
  cp package-lock.json node_modules/.installed-lock'
