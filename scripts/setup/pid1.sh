#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pid1.sh [--root ROOT] COMMAND...: process 1 of the namespaces that ns.sh makes.
# With --root it mounts what a build root needs, at the same paths as outside:
# the clone (the current directory) and the cache.  Everything in the namespaces
# ends with this process.

set -eu
. scripts/setup/proxy.sh

fail() {
	printf 'alloclab: %s\n' "$*" >&2
	exit 1
}

run() {
	env --default-signal=INT,QUIT,TERM,HUP,PIPE "$@" <&0 &
	wait "$!"
}

trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ "$1" != --root ]; then
	run "$@" || exit
	exit 0
fi
root=$2
clone=$PWD
cache=$ALLOCLAB_CACHE
shift 2

mount --bind "$root" "$root"
mount -t proc proc "$root/proc" ||
	fail "cannot mount /proc in the build root:" \
		"in a container, start it privileged or with an unmasked /proc."
mount -t tmpfs -o mode=755,size=16m dev "$root/dev"
for node in null zero full random urandom; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
if [ -c /dev/tty ] && : 2>/dev/null </dev/tty; then
	: >"$root/dev/tty"
	mount --bind /dev/tty "$root/dev/tty"
fi
mkdir "$root/dev/pts" "$root/dev/shm"
if mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" 2>/dev/null; then
	ln -s pts/ptmx "$root/dev/ptmx"
fi
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 run "$root/run"

# The host's way to the network.
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
	if [ -e "$file" ]; then
		mkdir -p "$root${file%/*}"
		[ -e "$root$file" ] || : >"$root$file"
		mount --bind "$file" "$root$file"
	fi
done

# So it does not stay in the root when the host has another.
proxies "$root" >"$root/run/alloclab-proxy"
if [ -d "$root/${PROXY_CONFIGURATION%/*}" ]; then
	[ -e "$root/$PROXY_CONFIGURATION" ] || : >"$root/$PROXY_CONFIGURATION"
	mount --bind "$root/run/alloclab-proxy" "$root/$PROXY_CONFIGURATION"
fi

# The host's way to the crates.
config=${CARGO_HOME:-${HOME:-/root}/.cargo}/config.toml
[ ! -r "$config" ] || cat -- "$config" >"$root/run/alloclab-cargo.toml"

# The shorter path first: one may be inside the other.
if ((${#clone} <= ${#cache})); then
	dirs=("$clone" "$cache")
else
	dirs=("$cache" "$clone")
fi
for dir in "${dirs[@]}"; do
	mkdir -p "$root$dir"
	mount --bind "$dir" "$root$dir"
done

vars=()
for name in TERM ALLOCLAB_CACHE ALLOCLAB_RUN ALLOCLAB_WHO ALLOCLAB_START \
	ALLOCLAB_SNAPSHOTS "${PROXY_VARIABLES[@]}" $(registry_variables); do
	if [ -n "${!name:-}" ]; then
		vars+=("$name=${!name}")
	fi
done
run -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ALLOCLAB_INSIDE=1 \
	ALLOCLAB_ROOT="$root" "${vars[@]}" \
	unshare --root="$root" --wd="$clone" -- "$@" || exit
