# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Host side: makes the build root, a Debian 13 whose rustc is the one that built
# Debian's kernel.  Its name in the cache is a digest of what goes into it; it is
# made beside and renamed when complete.

# What a kernel, the module, the command and a guest need; root_packages adds the compiler for
# arm64, and library.sh Rust's library for the other machine.
ROOT_PACKAGES=(
	# kernel
	make gcc libc6-dev flex bison bc libelf-dev libssl-dev libdw-dev pahole
	python3 rustc rust-src rustfmt rust-clippy rust-analyzer bindgen cpio kmod xz-utils
	perl mount
	# command
	cargo
	# guest
	device-tree-compiler qemu-system-arm python3-qemu-qmp dpkg-dev
)

# What tests, checks and kernels for other machines need besides; more_packages adds the
# compilers.
MORE_PACKAGES=(
	clang lld llvm qemu-system-x86
	python3-pytest python3-pytest-xdist python3-pyte dt-schema flake8 shellcheck apt-utils
	qemu-efi-aarch64
)

# Documentation, translations, of Rust's source all but its library and of the firmware all but
# what scripts/guest/machine.py names are left out, and dpkg need not sync.
ROOT_DPKG=(
	'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*'
	'path-exclude=/usr/share/info/*' 'path-exclude=/usr/share/locale/*'
	'path-exclude=/usr/src/rustc-*/src/tools/*' 'path-exclude=/usr/src/rustc-*/src/doc/*'
	'path-exclude=/usr/src/rustc-*/compiler/*'
	'path-exclude=/usr/share/AAVMF/*'
	'path-include=/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd'
	'path-include=/usr/share/AAVMF/AAVMF_VARS.snakeoil.fd'
	force-unsafe-io
)
ROOT_APT=(
	'APT::Install-Recommends "false"' 'APT::Sandbox::User "root"'
	'Acquire::Languages "none"' 'Acquire::Retries "3"' 'Acquire::http::Timeout "20"'
	'Acquire::https::Timeout "20"'
)

# The other of the two machines that can be a host; apt takes packages of both.
other_arch() { [ "$1" = amd64 ] && printf 'arm64' || printf 'amd64'; }

root_packages() {
	printf '%s\n' "${ROOT_PACKAGES[@]}"
	[ "$1" = arm64 ] || printf '%s\n' gcc-aarch64-linux-gnu libc6-dev-arm64-cross
}

more_packages() {
	printf '%s\n' "${MORE_PACKAGES[@]}" gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
	[ "$1" = amd64 ] || printf '%s\n' gcc-x86-64-linux-gnu libc6-dev-amd64-cross
}

# Where a script lies is no part of it.
root_key() {
	{
		printf '%s\n' "$1" "$SUITE" "${ROOT_DPKG[@]}" "${ROOT_APT[@]}"
		root_packages "$1"
		more_packages "$1"
		tested backports | awk 'NR == 1 { print $3 }'
		declare -f other_arch bootstrap write_sources write_dated add_packages \
			fill_root add_more
		cat scripts/setup/rustc.sh scripts/setup/library.sh
	} | sed -E 's|scripts/([a-z]+/)+|scripts/|g' | digest
	printf -- '-%s' "$(generation)"
}

# The hook that mmdebstrap calls before its first download: backports, and their
# sources, from wherever the suite itself comes; and beside them, for use_sources, the
# suite's own sources.
write_sources() {
	local list=$1/etc/apt/sources.list file line="^deb (.*) $SUITE (.*)"

	if grep -qsE "$line" "$list"; then
		sed -nE "s/$line/deb \1 $SUITE-backports \2/p" "$list" |
			sed 'p; s/^deb /deb-src /' >"$list.d/backports.list"
		grep -E "$line" "$list" >"$list.d/suite"
		mkdir -p "$1/etc/alloclab/sources"
		sed 's/^deb /deb-src /' "$list.d/suite" >"$1/etc/alloclab/sources/$SUITE.list"
		write_dated "$1" "$SUITE" "$list.d/suite" list
		write_dated "$1" "$SUITE-backports" "$list.d/backports.list" list
		rm "$list.d/suite"
		return
	fi
	file=$(grep -lsE "^Suites:.* $SUITE( |\$)" "$list".d/*.sources | head -n 1)
	[ -n "$file" ] || return 1
	sed -e '/^$/,$d' -e "s/^Suites:.*/Suites: $SUITE-backports/" \
		-e 's/^Types:.*/Types: deb deb-src/' "$file" >"$list.d/backports.sources"
	sed -e '/^$/,$d' -e "s/^Suites:.*/Suites: $SUITE/" "$file" >"$list.d/suite"
	mkdir -p "$1/etc/alloclab/sources"
	sed 's/^Types:.*/Types: deb-src/' "$list.d/suite" >"$1/etc/alloclab/sources/$SUITE.sources"
	write_dated "$1" "$SUITE" "$list.d/suite" sources
	rm "$list.d/suite"
	write_dated "$1" "$SUITE-backports" "$list.d/backports.sources" sources
}

# write_dated ROOT SUITE FILE KIND: the same entries with @ADDRESS@ for the address, for
# the archive's dated copy.
write_dated() {
	mkdir -p "$1/etc/alloclab/dated"
	sed -E -e 's/^(deb(-src)?)( \[[^]]*\])? +[^ ]+ /\1\3 @ADDRESS@ /' \
		-e 's/^URIs:.*/URIs: @ADDRESS@/' "$3" >"$1/etc/alloclab/dated/$2.$4"
}

# bootstrap ARCH DIR: apt's base system; tells how long the download took.  Mmdebstrap's apt
# reads what the root has as configuration, not the host's.
bootstrap() {
	local option hook proxy out reader rc=0 \
		command=(mmdebstrap --variant=apt --format=directory)

	if [ "$(id -u)" -eq 0 ]; then
		command+=(--mode=root)
	else
		command+=(--mode=unshare)
	fi
	for option in "${ROOT_DPKG[@]}"; do
		command+=(--dpkgopt="$option")
	done
	for option in "${ROOT_APT[@]}"; do
		command+=(--aptopt="$option")
	done
	command+=("--architectures=$1,$(other_arch "$1")")
	hook="cd $PWD && . scripts/setup/archive.sh && . scripts/setup/root.sh && write_sources \$1"
	proxy="printf '%s\\n' \"\$ALLOCLAB_PROXIES\" >\"\$1/$PROXY_CONFIGURATION\""
	command+=(--skip=cleanup/apt/lists "--setup-hook=$BASH -c '$hook' hook \"\$1\""
		"--setup-hook=$proxy" "$SUITE" "$2")
	exec {out}> >(stamp_download)
	reader=$!
	ALLOCLAB_PROXIES=$(proxies) in_ns "${command[@]}" >&"$out" 2>&1 || rc=$?
	exec {out}>&-
	wait "$reader"
	((rc)) || : >"$2/$PROXY_CONFIGURATION"
	return "$rc"
}

# Passes on what mmdebstrap says, and adds how long it downloaded.
stamp_download() {
	local line begin=0

	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		*'running apt-get update'*) begin=$(now) ;;
		*'extracting archives'*) printf 'alloclab-download: %s\n' "$(($(now) - begin))" ;;
		esac
	done
}

# add_packages DIR ARCHIVES NAME PACKAGE...: installs packages in a root.
add_packages() {
	local apt=(apt-get -y -o Dir::Cache::archives="$2")

	mkdir -p "$2/partial"
	step -d -w "$2" "build root: download $3" \
		in_root "$1" "${apt[@]}" --download-only install "${@:4}"
	step "build root: install $3" in_root "$1" "${apt[@]}" install "${@:4}"
	rm -rf "$2"
}

# fill_root ARCH DIR ARCHIVES: the packages, and a static busybox for guests of either arch.
fill_root() {
	local packages

	mapfile -t packages < <(root_packages "$1")
	add_packages "$2" "$3" packages "${packages[@]}"
	# shellcheck disable=SC2016
	step -d "build root: busybox for the guests" in_root "$2" sh -ec '
		mkdir -p /usr/lib/alloclab
		cd /tmp
		apt-get download busybox-static:amd64 busybox-static:arm64
		for arch in amd64 arm64; do
			dpkg-deb -x busybox-static_*_$arch.deb $arch
			cp $arch/usr/bin/busybox /usr/lib/alloclab/busybox-$arch
		done'
	in_root "$2" scripts/setup/rustc.sh
	in_root "$2" scripts/setup/library.sh
}

# add_more ARCH: adds the packages of more_packages to the complete root, if need be.  The
# root may be old by then and have versions in its lists that the archive has no more.
# Where an earlier run was ended in the middle, dpkg first completes what that began.
add_more() {
	local packages

	[ ! -e "$ROOT/etc/alloclab-more" ] || return 0
	hold "$ROOT.lock" "the build root"
	if [ ! -e "$ROOT/etc/alloclab-more" ]; then
		need_mb 3500 "set-up for tests"
		mapfile -t packages < <(more_packages "$1")
		in_root "$ROOT" dpkg --configure -a >&2 || :
		step -d "build root: current lists" in_root "$ROOT" apt-get -q update
		add_packages "$ROOT" "$ROOT.debs" "packages for tests" "${packages[@]}"
		: >"$ROOT/etc/alloclab-more"
		note_made
	fi
	release
}

# add_trees: adds what reads device trees to a root without it; what tests need has it.
add_trees() {
	local file=$ROOT/usr/lib/python3/dist-packages/libfdt.py

	[ ! -e "$file" ] || return 0
	hold "$ROOT.lock" "the build root"
	if [ ! -e "$file" ]; then
		step -d "build root: current lists" in_root "$ROOT" apt-get -q update
		add_packages "$ROOT" "$ROOT.debs" python3-libfdt python3-libfdt
		note_made
	fi
	release
}

# make_root ARCH: sets ROOT to the complete root, which is made if need be.
make_root() {
	local arch=$1 key tmp

	key=$(root_key "$arch" | tr -d '\n')
	ROOT=$ALLOCLAB_CACHE/roots/$key
	if [ -d "$ROOT" ]; then
		touch "$ROOT/etc/alloclab-used"
		return
	fi
	check_packages
	check_namespaces
	mkdir -p "$ALLOCLAB_CACHE/roots"
	hold "$ROOT.lock" "the build root"
	if [ -d "$ROOT" ]; then
		release
		return
	fi
	say "First run: about 600 MB are downloaded and up to 3 GB of disk used in" \
		"$ALLOCLAB_CACHE (make test: 860 MB, 6 GB)."
	need_mb 3500 "set-up"
	tmp=$ROOT.tmp
	if [ -e "$tmp" ]; then
		step "build root: remove what an ended run left" ns_rm "$tmp"
	fi
	step "build root: base system" bootstrap "$arch" "$tmp"
	fill_root "$arch" "$tmp" "$ROOT.debs"
	: >"$tmp/etc/alloclab-used"
	mv "$tmp" "$ROOT"
	note_made
	release
}
