# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Host side: runs commands in namespaces of their own, as root or as an ordinary
# user who is root in there.  When the caller ends, for whatever reason, all that
# it started ends.

NS=(unshare --mount --pid --fork --kill-child --uts --ipc)
if [ "$(id -u)" -ne 0 ]; then
	NS+=(--map-root-user --map-auto)
fi
CHILD=

# Runs a command in the background, so that signals reach our traps at once, but
# with the terminal and with signals that work, and waits for it.
held() {
	local rc=0

	env --default-signal=INT,QUIT,TERM,HUP,PIPE setpriv --pdeathsig KILL "$@" <&0 &
	CHILD=$!
	wait "$CHILD" || rc=$?
	CHILD=
	return "$rc"
}

# Runs a command in the namespaces, on the host's files.
in_ns() { held "${NS[@]}" -- "$BASH" scripts/setup/pid1.sh "$@"; }

# in_root ROOT COMMAND...: runs a command inside a build root.
in_root() {
	held "${NS[@]}" -- "$BASH" scripts/setup/pid1.sh --root "$@"
}

# Removes what may hold files of the root's system users.
ns_rm() {
	if [ "$(id -u)" -eq 0 ]; then
		rm -rf --one-file-system -- "$@"
	else
		in_ns rm -rf --one-file-system -- "$@"
	fi
}

ended_by_signal() {
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		# A Ctrl-C has reached the child too: let it end by itself first.
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			kill -0 "$CHILD" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$CHILD" 2>/dev/null
		wait "$CHILD" 2>/dev/null
	fi
	stop_ticker
	say "alloclab: interrupted"
	exit "$1"
}
trap 'ended_by_signal 130' INT
trap 'ended_by_signal 143' TERM
trap 'ended_by_signal 129' HUP
