#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Gives the build root the rustc that built the preferred kernel, from the archive's
# dated copy where the suite has another one by now.  Runs in the build root, while it
# is made.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/setup/archive.sh

read -r kernel snapshot wanted < <(tested backports)
has=$(rustc --version | cut -d ' ' -f 2)
[ "$has" != "$wanted" ] || exit 0

say "build root: the archive has rustc $has by now, but $kernel was built with $wanted"
if use_dated "$snapshot" "$SUITE"; then
	version=$(apt-cache "${APT[@]}" madison rustc |
		awk -F ' *[|] *' -v v="$wanted" 'index($2, v "+") == 1 { print $2; exit }')
	if [ -n "$version" ]; then
		step -d "build root: rustc $wanted" apt-get "${APT[@]}" -y --allow-downgrades \
			install {rustc,rust-src,rustfmt,rust-clippy,rust-analyzer,cargo}="$version"
		exit
	fi
fi
say "build root: going on with rustc $has: only kernels that were built with it can be taken"
