# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Host side: where the cache is, and who uses it and the clone.

# Sets ALLOCLAB_CACHE, and refuses paths that builds cannot bear.
find_cache() {
	local base=${XDG_CACHE_HOME:-${HOME:?is not set}/.cache} path

	ALLOCLAB_CACHE=$(readlink -m -- "$base")/alloclab
	export ALLOCLAB_CACHE
	for path in "$PWD" "$ALLOCLAB_CACHE"; do
		case $path in
		*[[:space:]:%\#\$\'\"\\\;\&\*\?\(\)\|\<\>\`]*)
			die "the kernel's build cannot bear a character of the path '$path':" \
				"move it, or set XDG_CACHE_HOME."
			;;
		esac
	done
	if [ -e "$ALLOCLAB_CACHE" ] && [ ! -O "$ALLOCLAB_CACHE" ]; then
		die "$ALLOCLAB_CACHE belongs to $(stat -c %U -- "$ALLOCLAB_CACHE")," \
			"not to $(id -un): run without sudo, or set XDG_CACHE_HOME."
	fi
}

# What 'sudo make' has left in the clone, an ordinary user cannot write.
check_owner() {
	local part left=()

	[ "$(id -u)" -ne 0 ] || return 0
	for part in out alloclab.ko alloclab_usb.ko; do
		[ -z "$(find "$part" ! -user "$(id -u)" -print -quit 2>/dev/null)" ] ||
			left+=("$PWD/$part")
	done
	if ((${#left[@]})); then
		die "not everything in ${left[*]} belongs to $(id -un), as 'sudo make' leaves it:" \
			"run: sudo chown -R $(id -un): ${left[*]}"
	fi
}

# One command at a time in a clone; the lock is on its directory.
lock_clone() {
	local lock

	check_owner
	exec {lock}<.
	if ! flock -n "$lock"; then
		say "alloclab: this clone is in use: $(cat out/owner 2>/dev/null); waiting for it"
		until flock -w 8 "$lock"; do
			say "  still waiting for $(cat out/owner 2>/dev/null)"
		done
	fi
	mkdir -p out
	printf '%s\n' "$ALLOCLAB_WHO" >out/owner
}

# Keeps the cache from being removed as long as this process lives.  Whoever finds
# it unused tidies up first.
use_cache() {
	local lock inode

	while :; do
		mkdir -p "$ALLOCLAB_CACHE/users" || die "cannot make $ALLOCLAB_CACHE"
		inode=$(stat -c %i -- "$ALLOCLAB_CACHE")
		exec {lock}<"$ALLOCLAB_CACHE"
		if flock -n "$lock"; then
			tidy
		fi
		until flock -s -w 8 "$lock"; do
			say "  waiting: the cache is being tidied or removed"
		done
		# It may have been removed while we waited.
		[ "$(stat -c %i -- "$ALLOCLAB_CACHE" 2>/dev/null)" = "$inode" ] && break
		exec {lock}<&-
	done
	printf '%s\n' "$ALLOCLAB_WHO" >"$ALLOCLAB_CACHE/users/$$" ||
		die "cannot write to $ALLOCLAB_CACHE ($(free_mb "$ALLOCLAB_CACHE") MB free)"
	trap 'stop_ticker; rm -f "$ALLOCLAB_CACHE/users/$$"' EXIT
}

# Prints who uses the cache now.
cache_users() {
	local file

	for file in "$ALLOCLAB_CACHE"/users/*; do
		if [ -e "$file" ] && kill -0 "${file##*/}" 2>/dev/null; then
			cat -- "$file"
		fi
	done
}
