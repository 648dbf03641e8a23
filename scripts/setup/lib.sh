# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts share, on the host and in the build root: messages, steps
# with their times, locks, disk space.  Messages go to stderr; stdout belongs
# to results.

export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*" >&2; }

die() {
	printf 'alloclab: %s\n' "$*" >&2
	exit 1
}

# Microseconds.  (The separator in EPOCHREALTIME depends on the locale.)
now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

# seconds MICROSECONDS: as 12.3
seconds() { printf '%d.%d' "$(($1 / 1000000))" "$(($1 / 100000 % 10))"; }

megabytes() { du -sm -- "$@" 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'; }

# The key of a cache entry: a digest of what went into it.
digest() { sha256sum | cut -c 1-12; }

# A line that a terminal rewrites in place.
if [ -t 2 ]; then
	TICK=1
else
	TICK=6
fi

progress() {
	if [ -t 2 ]; then
		printf '\r\033[K  %.76s' "$1" >&2
	else
		printf '  %.100s\n' "$1" >&2
	fi
}

erase_progress() {
	if [ -t 2 ]; then
		printf '\r\033[K' >&2
	fi
}

# ticker NAME START LOG WATCH: tells every TICK seconds how a step is doing,
# until it is killed or the shell that started it is gone.
ticker() {
	local parent=$$ nap='' at=0 line=''

	exec {nap}<> <(:)
	while kill -0 "$parent" 2>/dev/null; do
		read -rt 1 -u "$nap" _ || :
		at=$((at + 1))
		((at % TICK == 0)) || continue
		if [ -n "$4" ]; then
			line="$(megabytes "$4") MB"
		else
			line=$(tail -c 400 -- "$3" 2>/dev/null | tr '\r\t' '\n ' | tail -n 1 |
				tr -cd '[:print:]')
		fi
		progress "$1: $((($(now) - $2) / 1000000)) s${line:+, $line}"
	done
}

# step [-d] [-s] [-w PATH] NAME COMMAND...: runs a command with its output in a log,
# shows progress and prints the time.  -d: the time counts as download;
# -w: show how PATH grows.  A failure ends the script with an explanation; with -s,
# the explanation is said and the status returned.
# Shell functions given as COMMAND run without errexit.
step() {
	local kind=work soft='' watch='' name log start rc=0 took down

	while :; do
		case $1 in
		-d) kind=download && shift ;;
		-s) soft=yes && shift ;;
		-w) watch=$2 && shift 2 ;;
		*) break ;;
		esac
	done
	name=$1
	shift
	log=out/log/$(tr -cs 'A-Za-z0-9.\n' - <<<"$name").log
	mkdir -p out/log
	: >"$log" || die "cannot write $log"
	start=$(now)
	ticker "$name" "$start" "$log" "$watch" &
	TICKER=$!
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	stop_ticker
	took=$(($(now) - start))
	if ((rc)) && [ -n "$soft" ]; then
		say "$name: $(reason "$name" "$log" || echo "failed (status $rc)"); log: $log"
		return "$rc"
	elif ((rc)); then
		explain "$name" "$rc" "$log"
	fi
	if [ "$kind" = download ]; then
		down=$took
	else
		down=$(sed -n 's/^alloclab-download: //p' "$log")
	fi
	printf '%-52s %7s s%s\n' "$name" "$(seconds "$took")" \
		"${down:+ (download $(seconds "$down") s)}" >&2
	count_download "${down:-0}"
}

stop_ticker() {
	if [ -n "${TICKER:-}" ]; then
		kill "$TICKER" 2>/dev/null || :
		wait "$TICKER" 2>/dev/null || :
		TICKER=
		erase_progress
	fi
	return 0
}

count_download() {
	if [ -d "${ALLOCLAB_RUN:-}" ]; then
		printf '%s\n' "$1" >>"$ALLOCLAB_RUN/downloads"
	fi
}

# Marks that this run added something to the cache.
note_made() {
	if [ -d "${ALLOCLAB_RUN:-}" ]; then
		: >"$ALLOCLAB_RUN/made"
	fi
}

# explain NAME STATUS LOG: says in one sentence why a step failed, and ends.
explain() {
	local why

	if why=$(reason "$1" "$3"); then
		die "$1: $why; log: $3"
	fi
	tail -n 60 -- "$3" >&2
	die "$1 failed (status $2); the whole log: $3"
}

# full_disk NAME LOG: of the directories that a step writes to, prints the one whose file
# system is full: the one that the log complains of, else the one with the least room.
FULL='No space left on device|Disk quota exceeded|enough free space'
full_disk() {
	local dirs=("$PWD/out" "$ALLOCLAB_CACHE" /tmp) dir free least='' found=''

	[[ $1 != host* ]] || dirs=(/var /usr /tmp)
	for dir in "${dirs[@]}"; do
		if grep -E "$FULL" "$2" | grep -qF "$dir/"; then
			printf '%s\n' "$dir"
			return
		fi
		free=$(free_mb "$dir")
		if [ -z "$least" ] || ((free < least)); then
			least=$free
			found=$dir
		fi
	done
	printf '%s\n' "$found"
}

# reason NAME LOG: why a step failed, if its log shows a reason that is known.
reason() {
	local disk
	local gone='404 +Not Found|E: Version .* was not found|E: Unable to locate package'
	local net='Temporary failure resolving|Could not resolve|Could not connect'
	local expired='E: Release file for .* is expired'

	gone+='|E: Can not find version|E: Unable to find a source package'
	gone+='|does not have a Release file'
	net+='|Unable to connect|unreachable|No route to host|onnection (timed|reset|refused)'
	# Where out/ is full, the log could not say so.
	if grep -qE "$FULL" "$2" || (($(free_mb "$PWD/out") < 2)); then
		disk=$(full_disk "$1" "$2")
		printf '%s' "the disk of $disk is full ($(free_mb "$disk") MB free): make room" \
			" there and run the same command again"
	elif grep -qE "$net" "$2"; then
		printf '%s' "the package archive cannot be reached: check the network and apt's" \
			" proxy and run the same command again"
	elif grep -qE "$expired" "$2"; then
		printf '%s' "the archive's list of packages has expired: its mirror is not kept" \
			" up, or this machine's clock is wrong"
	elif [[ $1 != host* ]] && grep -qE "$gone" "$2"; then
		printf '%s' "the archive does not have that (any more)"
	else
		return 1
	fi
}

# free_mb PATH: megabytes free where PATH is or will be.
free_mb() {
	local at=$1

	while [ ! -e "$at" ]; do
		at=$(dirname -- "$at")
	done
	df --output=avail -BM -- "$at" | tail -n 1 | tr -dc 0-9
}

# need_mb MEGABYTES WHAT: ends unless the cache has that much room.
need_mb() {
	local free

	free=$(free_mb "$ALLOCLAB_CACHE")
	if ((free < $1)); then
		die "$2 needs $1 MB and the disk of $ALLOCLAB_CACHE has $free MB free:" \
			"make room, or set XDG_CACHE_HOME to a larger disk."
	fi
}

# hold FILE WHAT: takes the lock of a cache entry, waiting for whoever makes it.
# release lets go of the lock that was taken last; the end of the script, of all.
HELD=()
hold() {
	local lock

	exec {lock}<>"$1" || die "cannot open $1"
	if ! flock -n "$lock"; then
		say "  waiting for $2, in the hands of: $(cat -- "$1")"
		until flock -w 8 "$lock"; do
			say "  still waiting for $2"
		done
	fi
	printf '%s\n' "${ALLOCLAB_WHO:-process $$}" 2>/dev/null >"$1" || :
	HELD+=("$lock")
}

release() {
	local lock=${HELD[-1]}

	unset 'HELD[-1]'
	exec {lock}>&-
}
