#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# resolve.sh SOURCE  prints the file that records which kernel a source of
#                    scripts/kernels is
# resolve.sh -u      asks the archive anew for every source
# Runs in the build root.

set -euo pipefail
. scripts/lib.sh

RECORDS=$ALLOCLAB_CACHE/versions

# candidate PACKAGE: the version of a package that apt would install.
candidate() {
	apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '^(none)$' || :
}

# offers PACKAGE VERSION
offers() {
	apt-cache madison "$1" |
		awk -F ' *[|] *' -v v="$2" '$2 == v { found = 1 } END { exit !found }'
}

# The newest signed arm64 image whose headers and source are there in the very same
# version: in the middle of a transition, newer sources come first and do not count
# yet.  Prints RELEASE VERSION SERIES.
find_backports() {
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

# find_series SERIES: the same for the newest source package of a series.
find_series() {
	local version

	version=$(apt-cache madison linux |
		awk -F ' *[|] *' -v s="$1." '/ Sources$/ && index($2, s) == 1 { print $2 }' |
		sort -V | tail -n 1)
	[ -n "$version" ] && printf '%s %s %s\n' "${version%%-*}" "$version" "$1"
}

# resolve SOURCE: writes the record.
resolve() {
	local record=$RECORDS/$1 release version series

	if [ "$1" = backports ]; then
		read -r release version series < <(find_backports) ||
			die "the archive offers no signed arm64 kernel with headers and source" \
				"of one version: try again later with 'make update'."
	else
		read -r release version series < <(find_series "$1") ||
			die "the archive lists no source of linux $1: try 'make update'; if it is" \
				"gone for good, give its row in scripts/kernels another series."
	fi
	if grep -qsxF "VERSION=$version" "$record"; then
		say "kernel, $1: nothing newer than $release"
		return
	fi
	printf '%s\n' "RELEASE=$release" "VERSION=$version" "SERIES=$series" >"$record.tmp"
	mv "$record.tmp" "$record"
	say "kernel, $1: $release, package version $version"
}

(($# == 1)) || die "usage: scripts/resolve.sh SOURCE | -u"
if [ -s "$RECORDS/$1" ]; then
	printf '%s\n' "$RECORDS/$1"
	exit
fi
mkdir -p "$RECORDS"
hold "$RECORDS.lock" "the list of versions"
if [ "$1" = -u ]; then
	step -d "archive: current versions" apt-get -q update -o APT::Update::Error-Mode=any
	while read -r source; do
		resolve "$source"
	done < <(awk '!/^#/ && NF { print $3 }' scripts/kernels | sort -u)
else
	[ -s "$RECORDS/$1" ] || resolve "$1"
	printf '%s\n' "$RECORDS/$1"
fi
