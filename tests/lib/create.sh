#!/bin/bash
# Stands in for a container runtime: starts the rest of its arguments in the background with its own stdio, writes the pid file and ends.
# create.sh PIDFILE COMMAND…
set -eu
pidfile=$1
shift
"$@" <&0 &
echo $! >"$pidfile"
