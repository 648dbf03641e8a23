# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What of the cache is kept.

# Removes what nobody can use any more: what ended runs left half-made, entries of
# other versions than the recorded ones, and what was not used for KEEP_DAYS (other
# states of the repository have other entries, and other records).
KEEP_DAYS=14
tidy() {
	local old=() entry

	rm -f "$ALLOCLAB_CACHE"/users/*
	for entry in "$ALLOCLAB_CACHE"/versions/*; do
		recent "$entry" || rm -f "$entry"
	done
	for entry in "$ALLOCLAB_CACHE"/{roots,kernels,sources,debs,dated}/*; do
		if [ -d "$entry" ] && ! useful "$entry"; then
			old+=("$entry" "$entry.lock")
		fi
	done
	if ((${#old[@]})); then
		step "cache: remove what is of no use" ns_rm "${old[@]}"
	fi
}

useful() { # ENTRY
	local name=${1##*/}

	case $1 in
	*.tmp) false ;;
	*/roots/*.debs) recent "$1" ;;
	*/roots/*) [[ $1 == *-$(generation) ]] && recent "$1/etc/alloclab-used" ;;
	*/kernels/*) recent "$1/stamp" && recorded "$(sed -n 's/^VERSION=//p' "$1/row")" ;;
	*/sources/*)
		recorded "${name%-*}" &&
			{ recent "$1" || grep -qsxF "SOURCE=$1" "$ALLOCLAB_CACHE"/kernels/*/row; }
		;;
	*/debs/*) recorded "$name" ;;
	*/dated/*) recent "$1" ;;
	esac
}

# Is this a version that scripts/resolve.sh has recorded, for any state of the tree?
recorded() { grep -qsxF "VERSION=$1" "$ALLOCLAB_CACHE"/versions/*; }

# Counted up by 'make update' when the build root is out of date.
generation() { cat "$ALLOCLAB_CACHE/generation" 2>/dev/null || printf 0; }

recent() { [ -n "$(find "$1" -mtime "-$KEEP_DAYS" 2>/dev/null)" ]; }
