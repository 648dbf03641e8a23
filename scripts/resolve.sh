#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# resolve.sh [-u]: prints the file that records which kernel the archive's
# backports offer; -u: asks the archive anew.  Runs in the build root.
#
# The kernel is the newest signed arm64 image whose headers and source are there
# in the very same version: in the middle of a transition, newer sources come
# first and do not count yet.

set -euo pipefail
. scripts/lib.sh

record=$ALLOCLAB_CACHE/resolved

# candidate PACKAGE: the version of a package that apt would install.
candidate() {
	apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '^(none)$' || :
}

# offers PACKAGE VERSION
offers() {
	apt-cache madison "$1" |
		awk -F ' *[|] *' -v v="$2" '$2 == v { found = 1 } END { exit !found }'
}

# find_kernel: prints RELEASE VERSION SERIES.
find_kernel() {
	local release version series

	for release in $(apt-cache pkgnames linux-binary- |
		sed -nE 's/^linux-binary-([0-9]+(\.[0-9]+)+\+deb[0-9]+-arm64)(:.*)?$/\1/p' |
		sort -rVu); do
		version=$(candidate "linux-binary-$release:arm64")
		[ -n "$version" ] || continue
		series=$(cut -d . -f 1,2 <<<"$release")
		if offers "linux-headers-$release:arm64" "$version" &&
			offers "linux-modules-$release:arm64" "$version" &&
			offers "linux-source-$series" "$version"; then
			printf '%s %s %s\n' "$release" "$version" "$series"
			return
		fi
	done
	return 1
}

if [ -s "$record" ] && [ "${1:-}" != -u ]; then
	printf '%s\n' "$record"
	exit
fi
hold "$record.lock" "the list of versions"
if [ "${1:-}" = -u ]; then
	step -d "archive: current versions" apt-get -q update -o APT::Update::Error-Mode=any
elif [ -s "$record" ]; then
	printf '%s\n' "$record"
	exit
fi
read -r release version series < <(find_kernel) ||
	die "the archive offers no signed arm64 kernel with headers and source of one version:" \
		"try again later with 'make update'."
printf 'RELEASE=%s\nVERSION=%s\nSERIES=%s\n' "$release" "$version" "$series" >"$record.tmp"
mv "$record.tmp" "$record"
say "kernel: $release, package version $version"
printf '%s\n' "$record"
