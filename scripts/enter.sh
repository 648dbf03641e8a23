#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# enter.sh [-l NAME] [-m] [-t] COMMAND...: runs a command as root in the build root, in
# the clone, after making whatever is missing.  -l: alone in this clone, as NAME; -m: with
# what more tests, checks and kernels for other machines need; -t: with what reads trees.

set -euo pipefail

if [ -n "${ALLOCLAB_INSIDE:-}" ]; then
	[ "${1:-}" != -l ] || shift 2
	[ "${1:-}" != -m ] || shift
	[ "${1:-}" != -t ] || shift
	exec "$@"
fi

# End when the caller (make) is gone, even if it was killed.
if [ "${ALLOCLAB_PARENT:-}" != "$PPID" ]; then
	[ -z "${ALLOCLAB_PARENT:-}" ] || exit 137
	ALLOCLAB_PARENT=$PPID exec setpriv --pdeathsig KILL "$BASH" "$0" "$@"
fi
unset ALLOCLAB_PARENT ALLOCLAB_RUN

cd "$(dirname -- "$(readlink -f -- "$0")")/.."
. scripts/setup/lib.sh
. scripts/setup/cache.sh
. scripts/setup/tidy.sh
. scripts/setup/ns.sh
. scripts/setup/host.sh
. scripts/setup/proxy.sh
. scripts/setup/archive.sh
. scripts/setup/root.sh

name=${1:-}
alone=
if [ "$name" = -l ]; then
	name=$2
	alone=yes
	shift 2
fi
more=
if [ "${1:-}" = -m ]; then
	more=yes
	shift
fi
trees=
if [ "${1:-}" = -t ]; then
	trees=yes
	shift
fi
(($#)) || die "usage: scripts/enter.sh [-l NAME] [-m] [-t] COMMAND..."

arch=$(host_arch)
find_cache
ALLOCLAB_START=$(now)
ALLOCLAB_WHO="$name in $PWD (process $$)"
export ALLOCLAB_START ALLOCLAB_WHO
if [ -n "$alone" ]; then
	lock_clone
	ALLOCLAB_RUN=$PWD/out/run
	export ALLOCLAB_RUN
	rm -rf "$ALLOCLAB_RUN"
	mkdir -p "$ALLOCLAB_RUN"
fi
use_cache
make_root "$arch"
[ -z "$more" ] || add_more "$arch"
[ -z "$trees" ] || add_trees
in_root "$ROOT" "$@"
