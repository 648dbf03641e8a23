#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Decides which version of the kernel this tree takes.  Runs in the build root.
#
#   resolve.sh SOURCE          prints the file that records it for a source of
#                              scripts/kernel/table
#   resolve.sh remarks SOURCE...   prints, a line each, what is recorded in place of a
#                              preferred version
#   resolve.sh newest SOURCE   prints version and release of the newest that the archive
#                              has complete, whatever is tested
#   resolve.sh update          asks the archive anew for every source; the status is 2
#                              if one of them cannot be had
#
# It is the first of these that can be had:
#   1. a version of scripts/kernel/tested, in that order, that the archive or the cache has, or
#      whose source the archive keeps, though it does not list it any more
#   2. the preferred one, from the archive's dated copy
#   3. the newest version of a tested series
#   4. the newest version
# What is recorded is found again by the source's lines in scripts/kernel/tested, so another
# state of the tree has records of its own.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/setup/archive.sh
. scripts/kernel/recipes.sh

RECORDS=$ALLOCLAB_CACHE/versions

record_of() { printf '%s/%s-%s\n' "$RECORDS" "$1" "$(tested "$1" | digest)"; }

# The names of Debian's own arm64 kernels, with what their sources built too.
stock_releases() { # UPSTREAM-VERSION
	apt-cache "${APT[@]}" pkgnames "linux-binary-$1" |
		sed -nE 's/^linux-binary-([0-9]+(\.[0-9]+)+\+deb[0-9]+-arm64)$/\1/p' | sort -Vu
}

# complete SOURCE VERSION: prints the release if the archive has all of this version.  In
# the middle of a transition, newer sources come first, without an image.
complete() {
	local release

	if [[ $1 != backports* ]]; then
		source_versions | grep -qxF -- "$2" && printf '%s\n' "${2%%-*}"
		return
	fi
	for release in $(stock_releases "${2%%-*}+"); do
		if offers "linux-binary-$release:arm64" "$2" &&
			offers "linux-headers-$release:arm64" "$2" &&
			offers "linux-modules-$release:arm64" "$2" &&
			offers "linux-source-$(series "$2")" "$2"; then
			printf '%s\n' "$release"
			return
		fi
	done
	return 1
}

# cached SOURCE VERSION: prints the release if the cache has what its kernels are made of.
cached() {
	local image

	[ -d "$ALLOCLAB_CACHE/sources/$2-$(source_key)" ] || return
	if [[ $1 != backports* ]]; then
		printf '%s\n' "${2%%-*}"
		return
	fi
	# Other flavours than arm64 have more in their names.
	image=$(compgen -G "$ALLOCLAB_CACHE/debs/$2/linux-binary-*[0-9]-arm64.deb" | head -n 1)
	image=${image##*/linux-binary-}
	[ -e "$ALLOCLAB_CACHE/debs/$2/linux-headers-${image:-none}" ] &&
		printf '%s\n' "${image%.deb}"
}

# kept SOURCE VERSION: takes the source of an own kernel, if the archive keeps it, into the
# place where kernel.sh looks for it; prints the release.
kept() {
	local debs=$ALLOCLAB_CACHE/debs/$2

	[[ $1 != backports* ]] || return
	mkdir -p "$debs"
	{ [ -e "$debs/linux-source.deb" ] || take_kept "$2" "$debs/linux-source.deb"; } >&2 &&
		printf '%s\n' "${2%%-*}"
}

# Was a kernel of that line of scripts/kernel/tested built with the build root's rustc?
same_rustc() { # RUSTC
	[ "$1" = - ] || [ "$1" = "$(rustc --version | cut -d ' ' -f 2)" ]
}

# newest SOURCE [SERIES...]: prints the newest complete version of any of these series.
newest() {
	local source=$1 version

	shift
	while read -r version; do
		if [ $# -eq 0 ] || printf '%s\n' "$@" | grep -qxF -- "$(series "$version")"; then
			complete "$source" "$version" >/dev/null || continue
			printf '%s\n' "$version"
			return
		fi
	done < <(source_versions | sort -rVu)
	return 1
}

# find_tested SOURCE: sets VERSION RELEASE to the first tested version that is at hand.
find_tested() {
	local rustc

	while read -r VERSION _ rustc; do
		if ! same_rustc "$rustc"; then
			say "kernel, $1: $VERSION needs rustc $rustc, which the build root" \
				"does not have"
		elif RELEASE=$(complete "$1" "$VERSION") || RELEASE=$(cached "$1" "$VERSION") ||
			RELEASE=$(kept "$1" "$VERSION"); then
			return
		fi
	done < <(tested "$1")
	return 1
}

# find_dated SOURCE: the same for the preferred version, out of the dated copy.
find_dated() {
	local snapshot rustc

	read -r VERSION snapshot rustc < <(tested "$1")
	if same_rustc "$rustc" && use_dated "$snapshot" "$SUITE-backports" &&
		RELEASE=$(complete "$1" "$VERSION"); then
		say "kernel, $1: the archive no longer has $VERSION; its dated copy has it"
		return
	fi
	APT=()
	return 1
}

# find_untested SOURCE: the same for versions that are not in scripts/kernel/tested.
find_untested() {
	local all

	mapfile -t all < <(tested "$1" | while read -r version _; do series "$version"; done)
	if VERSION=$(newest "$1" "${all[@]}") || { [ "$1" = backports ] && VERSION=$(newest "$1"); }
	then
		RELEASE=$(complete "$1" "$VERSION")
		return
	fi
	return 1
}

# resolve SOURCE: writes the record.
resolve() {
	local record preferred remark='' RELEASE VERSION

	APT=()
	record=$(record_of "$1")
	preferred=$(tested "$1" | awk 'NR == 1 { print $1 }')
	[ -n "$preferred" ] || die "scripts/kernel/tested names no version of the source '$1'"
	{ complete "$1" "$preferred" || cached "$1" "$preferred"; } >/dev/null || refresh_once
	find_tested "$1" || find_dated "$1" || find_untested "$1" ||
		die "kernel, $1: no version of it can be had: neither one that this tree was" \
			"tested on ($(names_tested "$1")) nor another." \
			"Try again when the archive can be reached."
	if [ "$VERSION" != "$preferred" ]; then
		remark="kernel, $1: $VERSION, as the preferred $preferred cannot be had;"
		if is_tested "$VERSION"; then
			remark+=" this tree was tested on both"
		else
			remark+=" this tree was NOT TESTED on it"
			remark+=" (make update asks the archive anew)"
		fi
	fi
	printf '%s\n' "RELEASE=$RELEASE" "VERSION=$VERSION" "SERIES=$(series "$VERSION")" \
		"REMARK='$remark'" >"$record.tmp"
	mv "$record.tmp" "$record"
	say "${remark:-kernel, $1: $RELEASE, package version $VERSION}"
}

refresh_once() {
	if [ -z "${REFRESHED:-}" ]; then
		REFRESHED=yes
		refresh || say "archive: going on with what is known of it"
	fi
}

# The sources of scripts/kernel/table.
sources() { awk '!/^#/ && NF { print $3 }' scripts/kernel/table | sort -u; }

(($#)) || die "usage: scripts/kernel/resolve.sh SOURCE | remarks SOURCE... | newest SOURCE | update"
case $1 in
newest)
	[[ $2 =~ ^(backports-)?([0-9]+\.[0-9]+)$ ]] && of=("${BASH_REMATCH[2]}") || of=()
	version=$(newest "$2" "${of[@]}") || exit
	printf '%s %s\n' "$version" "$(complete "$2" "$version")"
	;;
remarks)
	shift
	for source; do
		sed -n "s/^REMARK='\(..*\)'\$/\1/p" "$(record_of "$source")" 2>/dev/null || :
	done
	;;
anew)
	resolve "$2"
	;;
update)
	mkdir -p "$RECORDS"
	hold "$RECORDS.lock" "the list of versions"
	step -d "archive: current versions" apt-get -q update -o APT::Update::Error-Mode=any
	export REFRESHED=yes
	failed=0
	while read -r source; do
		scripts/kernel/resolve.sh anew "$source" || failed=2
	done < <(sources)
	exit "$failed"
	;;
*)
	record=$(record_of "$1")
	if [ ! -s "$record" ]; then
		mkdir -p "$RECORDS"
		hold "$RECORDS.lock" "the list of versions"
		[ -s "$record" ] || resolve "$1"
	fi
	touch "$record"
	printf '%s\n' "$record"
	;;
esac
