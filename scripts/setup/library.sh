#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Gives the build root Rust's library for the other machine, in the version of its rustc: static
# programs for guests of that machine are linked with it.  It is unpacked beside the own one, not
# installed, as the kernels are named after what is installed.  Runs in the build root, while it
# is made.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/setup/archive.sh

package=libstd-rust-dev:$(dpkg --print-foreign-architectures)
version=$(dpkg-query -W -f '${Version}' rustc)
dir=$(mktemp -d)
if ! offers "$package" "$version"; then
	read -r _ snapshot _ < <(tested backports)
	use_dated "$snapshot" "$SUITE"
fi
step -d "build root: Rust's library for guests" \
	env -C "$dir" apt-get "${APT[@]}" download "$package=$version"
dpkg-deb -x "$dir"/*.deb "$dir/unpacked"
cp -r "$dir"/unpacked/usr/lib/rustlib/. /usr/lib/rustlib/
rm -r "$dir"
