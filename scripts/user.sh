#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the command, which is the Cargo package user/.  Runs in the build root.
#
#   user.sh program ARCH  prints the path of the static program for amd64 or arm64, which is
#                         built if need be, and lies in the cache by what it is made of
#   user.sh test          runs its unit and property tests
#   user.sh clippy        lints it; a warning fails
#
# The crates are in the cache, in a directory that is named after user/Cargo.lock.  Cargo compares
# each with its checksum there when it has fetched it.  Builds ask no registry.

set -euo pipefail
. scripts/setup/lib.sh

CARGO_HOME=$ALLOCLAB_CACHE/crates/$(digest <user/Cargo.lock)
export CARGO_HOME
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
TARGETS=(aarch64-unknown-linux-gnu x86_64-unknown-linux-gnu)
OUT=$PWD/out/build/user

# Sets TARGET, as Rust calls the machine.
target_of() { # ARCH
	case $1 in
	arm64) TARGET=aarch64-unknown-linux-gnu ;;
	amd64) TARGET=x86_64-unknown-linux-gnu ;;
	*) die "the command is for amd64 and arm64, not for $1" ;;
	esac
}

# The crates, fetched once. Which registry, the host's own configuration says.
fetch_crates() {
	local config=/run/alloclab-cargo.toml

	if [ -e "$CARGO_HOME/complete" ]; then
		touch "$CARGO_HOME"
		return
	fi
	mkdir -p "${CARGO_HOME%/*}"
	hold "$CARGO_HOME.lock" "the crates"
	if [ ! -e "$CARGO_HOME/complete" ]; then
		mkdir -p "$CARGO_HOME"
		[ ! -e "$config" ] || scripts/setup/registry.py "$config" >"$CARGO_HOME/config.toml"
		step -d -w "$CARGO_HOME" "command: download crates" cargo fetch --locked \
			--manifest-path user/Cargo.toml "${TARGETS[@]/#/--target=}"
		: >"$CARGO_HOME/complete"
		note_made
	fi
	release
}

# in_package COMMAND...: cargo on the package, without the network.
in_package() {
	cargo "$1" --frozen --manifest-path user/Cargo.toml --target-dir "$OUT" "${@:2}"
}

# What is linked statically needs nothing of a guest; no path of this machine is in it.
release_program() { # TARGET
	RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$ALLOCLAB_CACHE=cache" \
		in_package build --release --target "$1"
}

# What a program is made of.
program_key() { # TARGET
	{
		printf '%s\n' "$1"
		rustc --version
		dpkg-query -W -f '${Package} ${Version}\n' 'libc6-dev*'
		declare -f in_package release_program
		find user/Cargo.* user/src -type f -exec sha256sum {} + | sort -k 2
	} | digest
}

# Prints the path of the program, which clones share.
program() { # ARCH
	local directory

	target_of "$1"
	directory=$ALLOCLAB_CACHE/commands/$(program_key "$TARGET")
	if [ ! -e "$directory/alloclab" ]; then
		fetch_crates
		mkdir -p "$directory"
		hold "$directory.lock" "the command"
		if [ ! -e "$directory/alloclab" ]; then
			step "command: build for $1" release_program "$TARGET"
			cp "$OUT/$TARGET/release/alloclab" "$directory/alloclab.tmp"
			mv "$directory/alloclab.tmp" "$directory/alloclab"
			note_made
		fi
		release
	fi
	touch "$directory"
	printf '%s\n' "$directory/alloclab"
}

task=${1:-}
case $task in
program)
	program "${2:?which machine?}"
	;;
test)
	fetch_crates
	in_package test "${@:2}"
	;;
clippy)
	fetch_crates
	in_package clippy --all-targets -- -D warnings
	;;
*)
	die "usage: scripts/user.sh program ARCH | test | clippy"
	;;
esac
