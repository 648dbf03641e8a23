#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the kernels of scripts/kernel/table.  Runs in the build root.
#
#   kernel.sh dir ROW      prints the directory of the finished row, made if need be:
#                          build/ (the O= tree), Image, row (KEY=VALUE lines),
#                          stock: package.deb, which Image came from
#   kernel.sh modules ROW  the same, with modules/ filled: those that tests load, what they
#                          need, and in modules/order the order to load them in
#   kernel.sh trees ROW    prints the package with the trees of all boards of a stock kernel,
#                          which is downloaded if need be; the kernel itself is not made
#   kernel.sh names [COLUMN [WORD]]  prints the rows, or those with such a word, or any,
#                          in the column test or matrix
#   kernel.sh missing ROW...  prints name, kind and source's directory of those that are not
#                          in the cache
#
# Kernel trees hold absolute paths, so a row is made where it stays and its stamp
# is written last; a row without a stamp is made anew.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/setup/archive.sh
. scripts/kernel/recipes.sh
. scripts/setup/tidy.sh

# Sets NAME KIND FROM FLAVOUR BY TEST MATRIX CONFIG from the table, PATCHES, and what
# machine_of sets.
read_row() {
	local word what='kunit|all|core|wide|buses|storm|storms|torture|bench|check|setup|long'

	what+='|boards|-'

	read -r NAME KIND FROM FLAVOUR BY TEST MATRIX CONFIG \
		< <(awk -v n="$1" '$1 "" == n' scripts/kernel/table) ||
		die "no kernel '$1' in scripts/kernel/table: there are $(names | paste -sd ' ')"
	[[ $KIND-$FROM =~ ^((stock|own)-backports(-[0-9]+\.[0-9]+)?|own-[0-9]+\.[0-9]+)$ ]] ||
		wrong "kind '$KIND' from '$FROM'" "stock or own from backports or backports-X.Y," \
			"own from X.Y"
	[[ $KIND-$FLAVOUR =~ ^(stock-.*(arm|amd)64.*|own-arm(64|hf))$ ]] ||
		wrong "kind '$KIND' of flavour '$FLAVOUR'" "stock of Debian's for arm64 or amd64," \
			"own of arm64 or armhf"
	machine_of "$FLAVOUR"
	[[ $KIND-$BY =~ ^(stock--|own-(gcc|clang))$ ]] ||
		wrong "kind '$KIND' by '$BY'" "stock by -, own by gcc or clang"
	for word in ${TEST//,/ } ${MATRIX//,/ }; do
		[[ $word =~ ^($what)$ ]] || wrong "tests '$word'" "${what//|/, }"
	done
	[[ $KIND-${CONFIG:-} =~ ^(stock--|own-[^-].*)$ ]] ||
		wrong "kind '$KIND' with the config '${CONFIG:-}'" \
			"stock with -, own with fragments"
	PATCHES=()
	if [[ " $CONFIG " = *" upstream "* ]]; then
		PATCHES=(upstream/*.patch)
		CONFIG=${CONFIG/ upstream/}
	fi
}

# wrong WHAT ALLOWED...: a row of the table is not right.
wrong() {
	local what=$1

	shift
	die "scripts/kernel/table: $NAME: there is no $what; allowed are $*"
}

# Prints the fragments of an own kernel one after the other.
fragments() {
	local list

	read -ra list <<<"$CONFIG"
	cat -- "${list[@]}"
}

# names [COLUMN [WORD]]: the rows, or those with such a word, or any, in their column test
# or matrix.
names() {
	awk -v column="${1:-}" -v word="${2:-}" '
		/^#/ || !NF { next }
		{ words = column == "test" ? $6 : $7 }
		column == "" || (word == "" ? words != "-" : index("," words ",", "," word ",")) {
			print $1
		}' scripts/kernel/table
}

# The packages of the build root that leave traces in what is built: of the compilers,
# the root's own and the one for the kernel's machine.
toolchain() {
	local packages=('gcc-*' 'binutils*' rustc 'libstd-rust-*' rust-src bindgen 'libclang1-*'
		'libclang-*dev' 'libllvm*' pahole libc6 'libelf1*' 'libssl3*')

	[ "$BY" != clang ] || packages+=('clang-*' 'libclang-cpp*' 'lld-*' 'llvm-*')
	dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "${packages[@]}" |
		awk -v here="$(gcc -dumpmachine | tr _ -)" -v there="$(tr _ - <<<"${CROSS%-}")" '
			$1 == "installed" &&
			($2 !~ /-linux-gnu/ || index($2, here) || index($2, there))'
}

# Sets RELEASE VERSION SERIES, and DEBS, SOURCE, DIR that follow from them.
read_versions() {
	local record

	record=$(scripts/kernel/resolve.sh "$FROM")
	# shellcheck disable=SC1090
	. "$record"
	[ "$KIND" = own ] || RELEASE=${RELEASE%-arm64}-$FLAVOUR
	# shellcheck disable=SC2153
	DEBS=$ALLOCLAB_CACHE/debs/$VERSION
	SOURCE=$ALLOCLAB_CACHE/sources/$VERSION-$(source_key)
	PATCHED=
	((${#PATCHES[@]} == 0)) || PATCHED=$SOURCE-$(patched_key "${PATCHES[@]}")
	DIR=$ALLOCLAB_CACHE/kernels/$NAME-$SERIES-$({
		printf '%s\n' "$NAME" "$KIND" "$FLAVOUR" "$RELEASE" "$VERSION" \
			"${PATCHED:-$SOURCE}"
		toolchain
		recipe "$KIND-$BY-$ARCH"
		[ "$CONFIG" = - ] || fragments
	} | digest)
}

# fetch PACKAGE...: downloads packages of this version that are not there yet.
fetch() {
	local missing=() wanted=() package tmp

	for package in "$@"; do
		[ -e "$DEBS/${package%%:*}.deb" ] || missing+=("$package")
	done
	if ((${#missing[@]} == 0)); then
		return
	fi
	mkdir -p "$DEBS"
	hold "$DEBS.lock" "the kernel packages"
	for package in "${missing[@]}"; do
		[ -e "$DEBS/${package%%:*}.deb" ] || wanted+=("$package=$VERSION")
	done
	if ((${#wanted[@]})); then
		tmp=$DEBS/download
		rm -rf "$tmp"
		mkdir "$tmp"
		download "kernel $RELEASE: download" "$tmp" "$VERSION" download "${wanted[@]}"
		for package in "${wanted[@]}"; do
			package=${package%%[:=]*}
			mv "$tmp/$package"_*.deb "$DEBS/$package.deb"
		done
		rmdir "$tmp"
		note_made
	fi
	release
}

# Upstream's tar out of the source package of this version, or the package linux-source,
# which resolve.sh may have taken.  Sets FILE.
fetch_tar() {
	local tmp=$DEBS/tar.tmp

	for FILE in "$DEBS"/linux.tar.xz "$DEBS"/linux-source.deb; do
		[ ! -e "$FILE" ] || return 0
	done
	rm -rf "$tmp"
	mkdir -p "$tmp"
	download "kernel $RELEASE: download source" "$tmp" "$VERSION" \
		source --download-only --tar-only "linux=$VERSION"
	if [ -e "$tmp/linux-source.deb" ]; then
		mv "$tmp/linux-source.deb" "$DEBS"
	else
		FILE=$DEBS/linux.tar.xz
		mv "$tmp"/linux_*.orig.tar.xz "$FILE"
	fi
	rmdir "$tmp"
	note_made
}

unpack_source() {
	local FILE

	if [ -d "$SOURCE" ]; then
		return
	fi
	mkdir -p "${SOURCE%/*}"
	hold "$SOURCE.lock" "the kernel source"
	if [ ! -d "$SOURCE" ]; then
		rm -rf "$SOURCE.tmp"
		need_mb 2000 "the kernel source"
		if [[ $FROM = backports* ]]; then
			FILE=$DEBS/linux-source-$SERIES.deb
			fetch "linux-source-$SERIES"
		else
			fetch_tar
		fi
		mkdir "$SOURCE.tmp"
		step "kernel $SERIES: unpack source" \
			extract_source "$FILE" "$SOURCE.tmp"
		mv "$SOURCE.tmp" "$SOURCE"
		rm "$FILE"
		note_made
	fi
	release
}

# A stock kernel that another rustc has built is of no use.
refuse_other_rustc() { # DEB
	local built here

	built=$(dpkg-deb --fsys-tarfile "$1" |
		tar -xO -f - "./usr/src/linux-headers-$RELEASE/.config" |
		sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p')
	here=$(rustc --version)
	# Whether it has any Rust is asked when the tree is ready.
	[ -z "$built" ] || [ "$built" = "$here" ] ||
		die "kernel $NAME: Debian built $VERSION with '$built', and the build root has" \
			"'$here', but a Rust module needs the very same compiler: use a newer" \
			"state of this repository, which may have that one, $(or_dated_copies)"
}

make_stock() {
	local build=$DIR/build

	fetch "linux-binary-$RELEASE:$ARCH" "linux-headers-$RELEASE:$ARCH"
	refuse_other_rustc "$DEBS/linux-headers-$RELEASE.deb"
	unpack_source
	stock_config "$DEBS/linux-headers-$RELEASE.deb" "$build" ||
		die "linux-headers-$RELEASE does not hold what a module needs"
	step "kernel $NAME: prepare for modules (no rebuild)" prepare "$build"
	stock_image "$DEBS/linux-binary-$RELEASE.deb" "$DIR" ||
		die "linux-binary-$RELEASE holds no image"
}

# The source with the patches of upstream/; what they do not touch, it shares with the other.
apply_patches() {
	hold "$PATCHED.lock" "the patched kernel source"
	if [ ! -d "$PATCHED" ]; then
		rm -rf "$PATCHED.tmp"
		step "kernel $NAME: apply upstream/" \
			patch_source "$SOURCE" "$PATCHED.tmp" "${PATCHES[@]}"
		mv "$PATCHED.tmp" "$PATCHED"
		note_made
	fi
	release
	SOURCE=$PATCHED
}

make_own() {
	local build=$DIR/build

	unpack_source
	[ -z "$PATCHED" ] || apply_patches
	fragments >"$DIR/config"
	[ "$BY" != clang ] || use_clang
	step "kernel $NAME: configure" own_config "$build" "$DIR/config"
	[ "$BY" != clang ] || keep_clang "$build"
	step "kernel $NAME: build" own_kernel "$build"
	own_image "$build" "$DIR"
	if [ "$ARCH" = armhf ]; then
		use_sources
		step "kernel $NAME: busybox for its guests" own_busybox "$DIR"
		APT=()
	fi
	RELEASE=$(cat "$build/include/config/kernel.release")
}

make_row() {
	read_row "$1"
	read_versions
	note_use "$NAME" "$DIR"
	if [ -e "$DIR/stamp" ]; then
		touch "$DIR/stamp"
		return
	fi
	mkdir -p "${DIR%/*}"
	hold "$DIR.lock" "kernel $NAME"
	if [ ! -e "$DIR/stamp" ]; then
		rm -rf "$DIR"
		need_mb 1500 "kernel $NAME"
		mkdir -p "$DIR/build"
		quick_rustc "$DIR"
		"make_$KIND"
		printf '%s\n' "NAME=$NAME" "KIND=$KIND" "ARCH=$ARCH" "RELEASE=$RELEASE" \
			"VERSION=$VERSION" "SOURCE=$SOURCE" >"$DIR/row"
		: >"$DIR/stamp"
		note_made
	fi
	release
}

# has_modules DIR: an earlier version of this tree may have left fewer there.
has_modules() {
	local name

	for name in "${MODULES[@]}"; do
		[ -f "$1/$name.ko" ] || return
	done
}

# Own kernels have what we need built in.
add_modules() {
	if [ "$KIND" = own ] || has_modules "$DIR/modules"; then
		return
	fi
	fetch "linux-modules-$RELEASE:$ARCH"
	hold "$DIR.lock" "kernel $NAME"
	if ! has_modules "$DIR/modules"; then
		step "kernel $NAME: modules for tests" \
			stock_modules "$DEBS/linux-modules-$RELEASE.deb" "$DIR/modules.tmp"
		rm -rf "$DIR/modules"
		mv "$DIR/modules.tmp" "$DIR/modules"
		note_made
	fi
	release
}

case ${1:-} in
dir)
	make_row "${2:?a row}"
	;;
modules)
	make_row "${2:?a row}"
	add_modules
	;;
trees)
	read_row "${2:?a row}"
	[ "$KIND" = stock ] || die "kernel $NAME is not Debian's own: it has no package of trees"
	read_versions
	fetch "linux-base-$RELEASE:$ARCH"
	printf '%s\n' "$DEBS/linux-base-$RELEASE.deb"
	exit
	;;
names)
	names "${@:2}"
	exit
	;;
missing)
	for row in "${@:2}"; do
		read_row "$row"
		read_versions
		[ -e "$DIR/stamp" ] || printf '%s %s %s\n' "$NAME" "$KIND" "$SOURCE"
	done
	exit
	;;
*)
	die "usage: scripts/kernel/kernel.sh dir ROW | modules ROW | trees ROW |" \
		"names [COLUMN [WORD]] | missing ROW..."
	;;
esac
printf '%s\n' "$DIR"
