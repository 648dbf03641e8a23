# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What of the cache is kept.  Clones note which kernels they use, in
#   clones/DIGEST/clone           the clone's path
#   clones/DIGEST/rows/ROW/KERNEL an empty file, as old as its last use there
# and a kernel that has booted has a file `booted`.

# An entry that nobody has used for so many days goes; one that only clones have used
# which are gone, sooner.
KEEP_DAYS=14
KEEP_DAYS_GONE=3

# Notes, in the build root, that this clone uses a kernel for a row of scripts/kernel/table.
note_use() { # ROW DIRECTORY
	local notes

	notes=$ALLOCLAB_CACHE/clones/$(digest <<<"$PWD")
	mkdir -p "$notes/rows/$1" && printf '%s\n' "$PWD" >"$notes/clone" &&
		touch "$notes/rows/$1/${2##*/}"
}

# Removes what is of no use any more.  Only while nobody uses the cache.
tidy() {
	local old=() entry

	rm -f "$ALLOCLAB_CACHE"/users/*
	tidy_notes
	for entry in "$ALLOCLAB_CACHE"/{roots,kernels,sources,debs,dated,crates,commands}/*; do
		if [ -d "$entry" ] && ! useful "$entry"; then
			old+=("$entry" "$entry.lock")
		fi
	done
	if ((${#old[@]})); then
		step "cache: remove what is of no use" ns_rm "${old[@]}"
	fi
}

# What was resolved long ago, and the notes of clones none of whose kernels is there.
tidy_notes() {
	local entry note

	for entry in "$ALLOCLAB_CACHE"/versions/*; do
		recent "$entry" || rm -f "$entry"
	done
	for entry in "$ALLOCLAB_CACHE"/clones/*; do
		for note in "$entry"/rows/*/*; do
			[ ! -e "$ALLOCLAB_CACHE/kernels/${note##*/}/stamp" ] || continue 2
		done
		rm -rf "$entry"
	done
}

useful() { # ENTRY
	local name=${1##*/}

	case $1 in
	*.tmp) false ;;
	*/roots/*.debs | */dated/* | */crates/* | */commands/*) recent "$1" ;;
	*/roots/*) useful_root "$1" ;;
	*/kernels/*) useful_kernel "$1" ;;
	*/sources/*) recent "$1" || grep -qsxF "SOURCE=$1" "$ALLOCLAB_CACHE"/kernels/*/row ;;
	*/debs/*) recent "$1" || grep -qsxF "VERSION=$name" "$ALLOCLAB_CACHE"/kernels/*/row ;;
	esac
}

# A root that 'make update' has called out of date serves until there is a new one.
useful_root() {
	recent "$1/etc/alloclab-used" &&
		{ [[ $1 == *-$(generation) ]] || [ ! -d "${1%-*}-$(generation)" ]; }
}

# Clones may be gone, or may have gone over to another kernel for the same row.
useful_kernel() {
	local note days=$KEEP_DAYS

	[ -e "$1/stamp" ] || return 1
	for note in "$ALLOCLAB_CACHE"/clones/*/rows/*/"${1##*/}"; do
		[ -e "$note" ] || continue
		if clone_exists "${note%/rows/*}"; then
			if recent "$note" || awaits_successor "$note"; then
				return
			fi
		fi
		days=$KEEP_DAYS_GONE
	done
	recent "$1/stamp" "$days"
}

clone_exists() { [ -e "$(cat -- "$1/clone" 2>/dev/null)/scripts/enter.sh" ]; }

# awaits_successor NOTE: has the clone used other kernels for this row since, none of
# which has booted yet?  (Some may be gone.)
awaits_successor() {
	local note since=''

	while read -r note; do
		since=yes
		[ ! -e "$ALLOCLAB_CACHE/kernels/${note##*/}/booted" ] || return 1
	done < <(find "${1%/*}" -type f -newer "$1")
	[ -n "$since" ]
}

# Counted up by 'make update' when the build root is out of date.
generation() { cat "$ALLOCLAB_CACHE/generation" 2>/dev/null || printf 0; }

recent() { # PATH [DAYS]
	[ -n "$(find "$1" -maxdepth 0 -mtime "-${2:-$KEEP_DAYS}" 2>/dev/null)" ]
}
