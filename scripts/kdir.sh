#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kdir.sh modules|clean TREE: builds alloclab.ko for the kernel of any prepared tree, in
# out/build/kdir, or removes that.  Called by make, whose variables reach the kernel's
# build: O=, MO=, LLVM=1, CLIPPY=1, RUSTC=.

set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
. scripts/setup/lib.sh
. scripts/kernel/tree.sh

TREE=${2:?a tree}
BUILD=$(readlink -m -- "${O:-$TREE}")
OUT=$(readlink -m -- "${MO:-out/build/kdir}")

build() {
	local reason

	[ -e "$TREE/Makefile" ] || die "KDIR=$TREE: there is no kernel's tree."
	reason=$(refusal "$BUILD" "${RUSTC:-rustc}")
	[ -z "$reason" ] || die "$reason"
	refuse_built_in_place
	# What was made for another kernel is of no use.
	if [ "$(cat -- "$OUT/tree" 2>/dev/null)" != "$TREE $BUILD" ] && [ -z "${MO:-}" ]; then
		rm -rf "$OUT"
	fi
	mkdir -p "$OUT"
	printf '%s\n' "$TREE $BUILD" >"$OUT/tree"
	# Which may not be made for this kernel.
	rm -f "$OUT/alloclab_usb.ko"
	"${MAKE:-make}" -C "$TREE" M="$PWD" MO="$OUT" ${O:+O="$BUILD"} modules
	take_modules "$OUT" "$(cat -- "$BUILD/include/config/kernel.release")"
}

case ${1:-} in
modules)
	build
	;;
clean)
	rm -f alloclab.ko alloclab_usb.ko
	if [ -n "${MO:-}" ]; then
		"${MAKE:-make}" -C "$TREE" M="$PWD" MO="$OUT" ${O:+O="$BUILD"} clean
	else
		rm -rf "$OUT"
	fi
	;;
*)
	die "usage: scripts/kdir.sh modules|clean TREE"
	;;
esac
