#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# task.sh TASK [ROW...]: what the targets of the Makefile do in the build root.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/setup/archive.sh
. scripts/kernel/tree.sh

# build ROW [VARIABLE=VALUE...]: the modules, into out/build/ROW.
build() {
	local row=$1 dir out=$PWD/out/build/$1 reason version compile

	shift
	refuse_built_in_place
	dir=$(scripts/kernel/kernel.sh dir "$row")
	reason=$(refusal "$dir/build" rustc)
	[ -z "$reason" ] || die "kernel $row: $reason"
	mkdir -p "$out"
	# Which may not be made for what is built now.
	rm -f "$out/alloclab_usb.ko"
	compile=(make -C "$dir/build" M="$PWD" MO="$out" -j"$(nproc)" "$@" modules)
	version=$(sed -n 's/^VERSION=//p' "$dir/row")
	if ! step -s "module: build for $row" "${compile[@]}"; then
		is_tested "$version" || not_tested "$version" "$(source_of "$row")"
		compiler_said "out/log/module-build-for-$row.log"
		exit 1
	fi
}

# source_of ROW: what the table says that its kernel is made of.
source_of() { awk -v n="$1" '$1 "" == n { print $3 }' scripts/kernel/table; }

# A module that does not build for a kernel that this tree was not tested on.
not_tested() { # VERSION SOURCE
	local known what="is newer than this tree"

	while read -r known _; do
		dpkg --compare-versions "$1" gt "$known" || what="is not known to this tree"
	done < <(tested "$2")
	say "alloclab: kernel $1 $what, and the module does not build for it." \
		"It is known to work with $(names_tested "$2"). To take one of these: use a" \
		"newer state of this repository, which may name others, $(or_dated_copies)" \
		"The compiler said:"
}

# What stopped a build: the interfaces that the kernel has in no known form, or else what
# the compiler said first.
compiler_said() { # LOG
	local said

	said=$(grep '^alloclab: ' "$1" ||
		awk '/^(error|warning)|(error|warning):/ { said = 1 } said && n++ < 200' "$1")
	say "${said:-$(tail -n 60 -- "$1")}"
}

# remarks ROW...: what was taken in place of the kernels that this tree prefers, said
# now and once more at the end.
remarks() {
	mapfile -t SOURCES < <(for row; do
		source_of "$row"
	done | sort -u)
	scripts/kernel/resolve.sh remarks "${SOURCES[@]}" >&2
	trap 'scripts/kernel/resolve.sh remarks "${SOURCES[@]}" >&2' EXIT
}

# build_for_tests ROW...: the modules with those of the tests, and what the kernels need
# for them.
build_for_tests() {
	local row options loaded column word

	# The rows whose tests load modules of the kernel's own.
	loaded=$(for column in test matrix; do
		for word in all buses; do
			scripts/kernel/kernel.sh names "$column" "$word"
		done
	done)
	for row; do
		if is_among "$row" "$loaded"; then
			scripts/kernel/kernel.sh modules "$row" >/dev/null
		else
			scripts/kernel/kernel.sh dir "$row" >/dev/null
		fi
	done
	for row; do
		options=(TESTS=1)
		if is_among "$row" "$(bench_rows)"; then
			options+=(BENCH=1)
		fi
		build "$row" "${options[@]}"
	done
}

# is_among LINE TEXT: is it one of the lines?  (With a pipe, grep may end before all is
# written, and that would be a failure, too.)
is_among() { grep -qxF -- "$1" <<<"$2"; }

# The rows that the driver in C is built for too: those of make bench and of make upstream.
bench_rows() {
	scripts/kernel/kernel.sh names test bench
	printf '%s\n' inline upstream
}

# split [ROW...] -- [ARGUMENT...]: sets ROWS and, of pytest's, ARGUMENTS.
split() {
	ROWS=()
	while (($#)) && [ "$1" != -- ]; do
		ROWS+=("$1")
		shift
	done
	ARGUMENTS=("${@:2}")
}

# run_tests PLAN [ARGUMENT...]: of ROWS what the plan says; pytest's arguments choose among it.
run_tests() { python3 -B -m pytest --plan "$1" "${ROWS[@]/#/--row=}" "${@:2}"; }

# Notes which state of the tree is built from here on: tests/record.py says what for.
note_state() {
	ALLOCLAB_TREE=$(tests/record.py)
	export ALLOCLAB_TREE
}

# Begins to build the command for guests, of what a kernel that is prepared leaves idle.
# Wait for $COMMAND.
begin_command() {
	nice -n 10 scripts/user.sh program arm64 >/dev/null &
	COMMAND=$!
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

# Asks the archive anew: takes newer kernels if they prove good, and has the build root
# made anew if its packages are newer.
update() {
	local newer failed=0

	# 1: the archive itself did not answer.
	scripts/kernel/resolve.sh update || { failed=$? && ((failed == 2)); } || exit
	scripts/update.py || failed=2
	newer=$(apt-get -s dist-upgrade | grep -c '^Inst ') || :
	if ((newer)); then
		printf '%d\n' "$(($(cat "$ALLOCLAB_CACHE/generation" 2>/dev/null || echo 0) + 1))" \
			>"$ALLOCLAB_CACHE/generation.tmp"
		mv "$ALLOCLAB_CACHE/generation.tmp" "$ALLOCLAB_CACHE/generation"
		say "build root: $newer packages are newer, the next run makes a new one"
	else
		say "build root: nothing newer"
	fi
	return "$((failed != 0))"
}

total() {
	say "total: $(seconds "$(($(now) - ALLOCLAB_START))") s"
}

task=${1:-}
shift || :
case $task in
build)
	row=${1:-debian}
	remarks "$row"
	build "$row"
	setup_summary
	take_modules "out/build/$row" \
		"$(modinfo -F vermagic "out/build/$row/alloclab.ko" | cut -d ' ' -f 1)"
	;;
demo)
	case ${1:-} in
	'' | i2c | spi | usb) ;;
	*) die "BUS=$1 is not valid: allowed are i2c, spi and usb" ;;
	esac
	remarks debian
	begin_command
	# What drives the controller of a bus.
	[ -z "${1:-}" ] || scripts/kernel/kernel.sh modules debian >/dev/null
	# With the module that it loads alone: the first run is to be short.
	if [ "${1:-}" = usb ]; then
		build debian
	else
		build debian ALLOCLAB_USB=n
	fi
	wait "$COMMAND"
	setup_summary
	scripts/demo.py ${1:+"--bus=$1"}
	total
	;;
test)
	split "$@"
	((${#ARGUMENTS[@]})) || note_state
	((${#ROWS[@]})) || mapfile -t ROWS < <(scripts/kernel/kernel.sh names test)
	remarks "${ROWS[@]}"
	begin_command
	build_for_tests "${ROWS[@]}"
	wait "$COMMAND"
	setup_summary
	run_tests test --scale quick "${ARGUMENTS[@]}"
	;;
kunit)
	split "$@"
	((${#ROWS[@]})) || ROWS=(kunit)
	for row in "${ROWS[@]}"; do
		dir=$(scripts/kernel/kernel.sh dir "$row")
		grep -qx CONFIG_KUNIT=y "$dir/build/.config" ||
			die "kernel $row is built without KUnit: no suites can run there."
	done
	remarks "${ROWS[@]}"
	build_for_tests "${ROWS[@]}"
	setup_summary
	run_tests kunit "${ARGUMENTS[@]}"
	;;
torture | torture-quick)
	mapfile -t ROWS < <(scripts/kernel/kernel.sh names test torture)
	remarks "${ROWS[@]}"
	build_for_tests "${ROWS[@]}"
	setup_summary
	scale=full
	[ "$task" = torture ] || scale=quick
	run_tests torture --scale "$scale"
	;;
matrix)
	mapfile -t ROWS < <(scripts/kernel/kernel.sh names matrix)
	remarks "${ROWS[@]}"
	tests/matrix.py
	total
	;;
bench | upstream)
	mapfile -t ROWS < <(scripts/kernel/kernel.sh names test bench)
	if [ "$task" = bench ]; then
		ROWS+=(inline)
	else
		ROWS+=(upstream)
		export UPSTREAM=1
	fi
	remarks "${ROWS[@]}"
	build_for_tests "${ROWS[@]}"
	setup_summary
	"tests/$task.py"
	total
	;;
record)
	mapfile -t ROWS < <(scripts/kernel/kernel.sh names test bench)
	build_for_tests "${ROWS[@]}"
	tests/bench.py --record "$1"
	;;
modules)
	build_for_tests "$1"
	;;
user)
	for arch in arm64 amd64; do
		path=$(scripts/user.sh program "$arch")
		mkdir -p "out/user/$arch"
		cp "$path" "out/user/$arch/alloclab"
		say "out/user/$arch/alloclab: $(stat -c %s "$path") bytes"
	done
	;;
shell)
	remarks debian
	begin_command
	build debian
	wait "$COMMAND"
	setup_summary
	scripts/shell.py
	;;
rust-analyzer | doc)
	row=${1:-debian}
	remarks "$row"
	build "$row"
	setup_summary
	scripts/crate.py "$task" "$row"
	;;
overlay)
	remarks debian
	trees=$(scripts/kernel/kernel.sh trees debian)
	setup_summary
	scripts/overlay.py "$trees" "$@"
	;;
check)
	mapfile -t ROWS < <(scripts/kernel/kernel.sh names test check)
	remarks "${ROWS[@]}"
	scripts/check.sh "$@"
	;;
update)
	update
	;;
canary)
	scripts/canary.py
	;;
*)
	die "usage: scripts/task.sh build [ROW] | test [ROW...] [-- ARGUMENT...] |" \
		"kunit [ROW...] [-- ARGUMENT...] | torture | torture-quick | matrix | bench |" \
		"modules ROW | demo [BUS] | shell | user | rust-analyzer [ROW] | doc [ROW] |" \
		"overlay BOARD GPIO MERGE | check | update | canary"
	;;
esac
