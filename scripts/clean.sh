#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# clean.sh clean|distclean: removes what was built in this clone, and with
# distclean the cache too.

set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
. scripts/setup/lib.sh
. scripts/setup/cache.sh
. scripts/setup/ns.sh

clean_clone() {
	local lock

	exec {lock}<.
	flock -n "$lock" ||
		die "this clone is in use: $(cat out/owner 2>/dev/null); end that first."
	check_owner
	rm -rf out alloclab.ko alloclab_usb.ko rust-project.json user/target
	find . -path ./.git -prune -o -type f \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.rmeta' -o -name '*.dtb' \
		-o -name '*.dtbo' -o -name '.*.d' -o -name modules.order \
		-o -name interfaces.rsp -o -name interfaces.log -o -name '*.long-type-*.txt' \
		-o -name Module.symvers -o -name '.checkpatch-camelcase.*' \) -exec rm -f {} +
	find . -path ./.git -prune -o -type d \( -name __pycache__ -o -name .pytest_cache \) \
		-prune -exec rm -rf {} +
}

clean_cache() {
	local lock directory megabytes

	if [ ! -d "$ALLOCLAB_CACHE" ]; then
		return
	fi
	exec {lock}<"$ALLOCLAB_CACHE"
	if ! flock -n "$lock"; then
		say "alloclab: the cache is in use, so nothing is removed:"
		cache_users >&2
		exit 1
	fi
	# It may be a link to another disk.
	directory=$(readlink -f -- "$ALLOCLAB_CACHE")
	megabytes=$(megabytes "$directory")
	ns_rm "$directory" "$ALLOCLAB_CACHE"
	say "$ALLOCLAB_CACHE: $megabytes MB given back"
}

case ${1:-} in
clean)
	clean_clone
	;;
distclean)
	find_cache
	clean_cache
	clean_clone
	;;
*)
	die "usage: scripts/clean.sh clean|distclean"
	;;
esac
