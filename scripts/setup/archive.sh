# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The package archive, as apt in the build root knows it, or its dated copy: what
# there is, and how it is taken.

# The build root's.
SUITE=trixie

# Options of apt: none for the archive as it is now; use_dated sets them.
APT=()

# Prints the lines of scripts/kernel/tested for a source: version, snapshot, rustc.
tested() { awk -v s="$1" '$1 "" == s { print $2, $3, $4 }' scripts/kernel/tested; }

# snapshot_of VERSION: when the archive had a tested version.
snapshot_of() { awk -v v="$1" '$2 "" == v { print $3; exit }' scripts/kernel/tested; }

# series VERSION: 7.3 of 7.3.4-1~bpo13+1.
series() { cut -d . -f 1,2 <<<"$1"; }

# kept_digest VERSION: the SHA-256 of a tested version's linux-source package, if known.
kept_digest() {
	awk -v v="$1" '$2 "" == v && $5 ~ /^[0-9a-f]+$/ { print $5; exit }' scripts/kernel/tested
}

is_tested() { [ -n "$(snapshot_of "$1")" ]; }

# names_tested SOURCE: its tested versions, for messages.
names_tested() { tested "$1" | awk '{ printf "%s%s", comma, $1; comma = ", " }'; }

# Asks the archive anew; a failure is said and returned.
refresh() {
	step -s -d "archive: current versions" \
		apt-get -q "${APT[@]}" update -o APT::Update::Error-Mode=any
}

# offers PACKAGE VERSION: says the list of packages that there is such a one?
offers() {
	apt-cache "${APT[@]}" madison "$1" |
		awk -F ' *[|] *' -v v="$2" '
			$2 == v && !/ Sources$/ { found = 1 }
			END { exit !found }'
}

# Prints the versions of the kernel's source package.
source_versions() {
	apt-cache "${APT[@]}" madison linux | awk -F ' *[|] *' '/ Sources$/ { print $2 }'
}

# The address of the archive's dated copies, with @SNAPSHOTID@ where the time belongs.
dated_address() {
	local address=

	eval "$(apt-config shell address Acquire::Snapshots::URI::Origin::Debian)"
	printf '%s\n' "${ALLOCLAB_SNAPSHOTS:-$address}"
}

# The end of a message that names a newer state of this repository: what else helps.
or_dated_copies() {
	printf '%s' "or set ALLOCLAB_SNAPSHOTS to the address of an archive's dated copies, with" \
		" @SNAPSHOTID@ where the time belongs, and run 'make update'."
}

# use_dated SNAPSHOT SUITE: has apt ask the dated copy from here on, with sources and
# lists of its own.  That its Release has expired does not matter: it is to be old.
use_dated() {
	local address dir=$ALLOCLAB_CACHE/dated/$2-$1 entries list

	address=$(dated_address)
	if [[ $address != *@SNAPSHOTID@* || $address == *[[:space:]]* ]]; then
		say "archive: '$address' is not the address of dated copies: set" \
			"ALLOCLAB_SNAPSHOTS to one without spaces, with @SNAPSHOTID@ where the" \
			"time belongs."
		return 1
	fi
	address=${address//@SNAPSHOTID@/$1}
	list=(/etc/alloclab/dated/"$2".*)
	APT=(-o "Dir::Etc::sourcelist=$dir/dated.${list[0]##*.}" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
		-o Acquire::Check-Valid-Until=false)
	# What it has does not change.
	if [ "$(cat -- "$dir/complete" 2>/dev/null)" = "$address" ]; then
		touch "$dir"
		return
	fi
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	entries=$(cat -- "${list[0]}")
	printf '%s\n' "${entries//@ADDRESS@/"$address"}" >"$dir/dated.${list[0]##*.}"
	step -s -d "archive: dated copy of $1" \
		apt-get -q "${APT[@]}" update -o APT::Update::Error-Mode=any || return
	printf '%s\n' "$address" >"$dir/complete"
}

# use_sources: has apt ask for the build root's own sources from here on, with lists of
# their own, which no other run needs.
use_sources() {
	local dir=$ALLOCLAB_CACHE/dated/$SUITE list

	list=(/etc/alloclab/sources/"$SUITE".*)
	APT=(-o "Dir::Etc::sourcelist=${list[0]}" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache")
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	step -d "archive: sources of $SUITE" \
		apt-get -q "${APT[@]}" update -o APT::Update::Error-Mode=any
}

# take_kept VERSION FILE: downloads the linux-source package of a tested version that the
# archive's lists do not have any more: the archive keeps the file for a while.  No signed
# list has its digest then, so scripts/kernel/tested does.
take_kept() {
	local package place digest

	digest=$(kept_digest "$1")
	[ -n "$digest" ] || return
	package=linux-source-$(series "$1")_$1_all.deb
	# Where the archive has packages of this source.
	place=$(apt-get source --print-uris --download-only --tar-only linux 2>/dev/null |
		sed -n "s|^'\(.*/\)[^/]*'.*|\1|p" | head -n 1)
	[ -n "$place" ] || return
	step -s -d -w "${2%/*}" "archive: $package, which it does not list" \
		/usr/lib/apt/apt-helper download-file "$place$package" "$2.tmp" "SHA256:$digest" &&
		mv "$2.tmp" "$2"
}

# download NAME DIRECTORY VERSION ARGUMENTS: has apt-get, with these arguments, download
# packages of a version, which it checks against the archive's signed index.  What the
# archive does not have any more comes from its dated copy; a source may come from the
# linux-source package before, as linux-source.deb.
download() {
	local name=$1 dir=$2 version=$3 snapshot

	shift 3
	if apt-get "${APT[@]}" --print-uris "$@" >/dev/null 2>&1 &&
		step -s -d -w "$dir" "$name" env -C "$dir" apt-get -q "${APT[@]}" "$@"; then
		return
	fi
	if [ "$1" = source ] && take_kept "$version" "$dir/linux-source.deb"; then
		return
	fi
	snapshot=$(snapshot_of "$version")
	if ((${#APT[@]} == 0)) && [ -n "$snapshot" ] &&
		use_dated "$snapshot" "$SUITE-backports"; then
		step -d -w "$dir" "$name" env -C "$dir" apt-get -q "${APT[@]}" "$@"
	else
		die "$name: version $version cannot be had. If the archive can be reached and has" \
			"others by now, 'make update' takes one of them."
	fi
}
