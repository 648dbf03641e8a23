#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# task.sh TASK: what the targets of the Makefile do in the build root.

set -euo pipefail
. scripts/lib.sh

# build ROW [VARIABLE=VALUE...]: the modules, into out/build/ROW.
build() {
	local row=$1 dir out=$PWD/out/build/$1

	shift
	dir=$(scripts/kernel.sh dir "$row")
	mkdir -p "$out"
	step "module: build for $row" \
		make -C "$dir/build" M="$PWD" MO="$out" -j"$(nproc)" "$@" modules
}

# After set-up: where the time went, and what the cache holds now.
setup_summary() {
	local total down

	[ -e "$ALLOCLAB_RUN/made" ] || return 0
	total=$(($(now) - ALLOCLAB_START))
	down=$(awk '{ n += $1 } END { printf "%d", n }' "$ALLOCLAB_RUN/downloads")
	say "set-up: $(seconds "$total") s: download $(seconds "$down") s," \
		"everything else $(seconds "$((total - down))") s"
	say "cache: $(megabytes "$ALLOCLAB_CACHE") MB in $ALLOCLAB_CACHE" \
		"(make distclean removes it)"
}

# Asks the archive anew: for the kernel, and for the packages of the build root.
update() {
	local old newer

	old=$(cat "$ALLOCLAB_CACHE/resolved" 2>/dev/null) || old=
	scripts/resolve.sh -u >/dev/null
	if [ "$(cat "$ALLOCLAB_CACHE/resolved")" = "$old" ]; then
		say "kernel: nothing newer ($(sed -n 's/^RELEASE=//p' <<<"$old"))"
	fi
	newer=$(apt-get -s dist-upgrade | grep -c '^Inst ') || :
	if ((newer)); then
		printf '%d\n' "$(($(cat "$ALLOCLAB_CACHE/generation" 2>/dev/null || echo 0) + 1))" \
			>"$ALLOCLAB_CACHE/generation.tmp"
		mv "$ALLOCLAB_CACHE/generation.tmp" "$ALLOCLAB_CACHE/generation"
		say "build root: $newer packages are newer, the next run makes a new one"
	else
		say "build root: nothing newer"
	fi
}

total() {
	say "total: $(seconds "$(($(now) - ALLOCLAB_START))") s"
}

case ${1:-} in
build)
	build "$2"
	setup_summary
	cp "out/build/$2/alloclab.ko" .
	say "alloclab.ko is for $(modinfo -F vermagic alloclab.ko | cut -d ' ' -f 1)"
	;;
demo)
	build debian
	setup_summary
	scripts/demo.py
	total
	;;
test)
	scripts/kernel.sh modules debian >/dev/null
	for row in debian kunit; do
		build "$row" TESTS=1
	done
	setup_summary
	tests/run.py
	;;
kunit)
	build kunit TESTS=1
	setup_summary
	tests/run.py --kunit-only
	;;
shell)
	build debian
	setup_summary
	scripts/shell.py
	;;
check)
	scripts/check.sh
	;;
update)
	update
	;;
*)
	die "usage: scripts/task.sh build ROW | demo | test | kunit | shell | check | update"
	;;
esac
