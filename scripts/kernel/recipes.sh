# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How kernel.sh unpacks a source and makes the two kinds of kernel.  The text of
# these functions is part of the names of what they make: a change makes anew.

# What no build of ours reads, as patterns of tar.
LEFT_OUT=(
	'*/Documentation/[!r]*/*' '*/tools/perf/*' '*/tools/testing/selftests/*'
	'*/arch/[c-su]*/*.[chS]' '*/arch/[c-su]*/boot/*' '*/sound/*.[ch]'
	'*/drivers/gpu/*.[ch]' '*/drivers/media/*.[ch]' '*/drivers/net/*.[ch]'
	'*/drivers/scsi/*.[ch]'
)

# Options in which a stock tree may differ from Debian's own build: versions of
# tools that leave no trace in the layout of data, and what needs a C library for
# arm64, a compiler for 32-bit Arm or signing keys.
MAY_DIFFER='^(# )?CONFIG_(CC_VERSION_TEXT|GCC_VERSION|AS_VERSION|LD_VERSION|PAHOLE_VERSION'
MAY_DIFFER+='|BINDGEN_VERSION_TEXT|CC_CAN_LINK(_STATIC)?|(THUMB2_)?COMPAT_VDSO'
MAY_DIFFER+='|OPENSSL_SUPPORTS_ML_DSA|MODULE_SIG_KEY_TYPE_MLDSA_[0-9]+)[ =]'

# source_tar FILE: the compressed tar inside a linux-source package, or FILE itself.
source_tar() {
	local tar

	case $1 in
	*.deb)
		tar=$(dpkg-deb -c "$1" |
			sed -n 's|.* \(\./usr/src/linux-source-[^ ]*\.tar\.xz\)$|\1|p')
		dpkg-deb --fsys-tarfile "$1" | tar -xO -f - "$tar"
		;;
	*) cat -- "$1" ;;
	esac
}

extract_source() { # FILE DIR
	source_tar "$1" | xz -dcT0 |
		tar -x -f - -C "$2" --strip-components=1 --no-same-owner \
			--exclude-from=<(printf '%s\n' "${LEFT_OUT[@]}")
}

# patch_source DIR COPY PATCH...: patches a copy, whose other files are the same; GNU patch
# writes a file anew.
patch_source() {
	local copy=$2 patch

	cp -al -- "$1" "$copy" || return
	for patch in "${@:3}"; do
		patch -d "$copy" -p1 --fuzz=0 --no-backup-if-mismatch <"$patch" || return
	done
}

# patched_key PATCH...: what a patched source is named after, beside the other's name.  What a
# patch says about itself changes nothing.
patched_key() {
	{ sed -s '1,/^---$/d' "$@" && declare -f patch_source; } | digest
}

# What a source is named after, beside its version.
source_key() {
	{ declare -p LEFT_OUT && declare -f source_tar extract_source; } | digest
}

# quick_rustc DIR: puts a rustc into DIR/bin and that first in PATH.  It leaves out the
# optimisation of the libraries that the kernel's procedural macros are made of: it costs a
# minute of computing, and a build runs them for a second.  They run on this machine, at
# build time; no code of theirs gets into a kernel or a module.
quick_rustc() {
	mkdir -p "$1/bin" &&
	printf '%s\n' '#!/bin/sh' \
	'case " $* " in' \
	'*" --crate-type rlib -O "*) set -- "$@" -Copt-level=0 -Cdebug-assertions=no ;;' \
	'esac' \
	'exec /usr/bin/rustc "$@"' >"$1/bin/rustc" &&
		chmod +x "$1/bin/rustc" &&
		PATH=$1/bin:$PATH
}

# The configuration and symbols of Debian's build, and its variables without the
# ones for a 32-bit Arm compiler.
stock_config() { # DEB BUILD
	local headers=./usr/src/linux-headers-$RELEASE

	dpkg-deb --fsys-tarfile "$1" |
		tar -x -f - -C "$2" --strip-components=4 --no-same-owner \
			"$headers/.config" "$headers/Module.symvers" "$headers/.kernelvariables" &&
		cp "$2/.config" "$2/config.debian" &&
		sed -i -nE '/^override (ARCH|KERNELRELEASE|CROSS_COMPILE) =/p' "$2/.kernelvariables"
}

# Without a program that only a vmlinux with BTF needs: none is linked here.
prepare() { # BUILD
	make -C "$SOURCE" O="$1" olddefconfig &&
		same_config "$1" &&
		make -C "$SOURCE" O="$1" -j"$(nproc)" CONFIG_DEBUG_INFO_BTF= modules_prepare
}

# A module is only safe in the stock kernel if every option is the same.
same_config() { # BUILD
	local differences

	differences=$(diff <(grep -E '^(# )?CONFIG_' "$1/config.debian" | sort) \
		<(grep -E '^(# )?CONFIG_' "$1/.config" | sort) |
		sed -n 's/^[<>] //p' | grep -vE "$MAY_DIFFER")
	if [ -n "$differences" ]; then
		printf 'The configuration is not the one of Debian'\''s build:\n%s\n' "$differences"
		[[ $differences != *CONFIG_RUSTC_VERSION* ]] ||
			printf 'This kernel was built with another rustc than the build root has.\n'
		return 1
	fi
}

stock_image() { # DEB DIR
	local image=./usr/lib/modules/$RELEASE/vmlinuz

	dpkg-deb --fsys-tarfile "$1" | tar -xO -f - "$image" >"$2/Image" && ln "$1" "$2/package.deb"
}

# add_module TAR DIR NAME: unpacks a module after those it depends on, and writes
# its name to DIR/order.
add_module() {
	local file need pattern

	if grep -qsx "$3.ko" "$2/order"; then
		return
	fi
	pattern=${3//[-_]/[-_]}
	file=$(tar -t -f "$1" | grep "/$pattern\.ko\.xz\$") &&
		tar -xO -f "$1" "$file" | xz -dc >"$2/$3.ko" || return
	for need in $(modinfo -F depends "$2/$3.ko" | tr , ' '); do
		add_module "$1" "$2" "$need" || return
	done
	printf '%s.ko\n' "$3" >>"$2/order"
}

# The kernel's own modules that tests load.
MODULES=(gpio-sim i2c-gpio spi-gpio xhci-pci)

stock_modules() { # DEB DIR
	local tar=$2/all.tar name

	rm -rf "$2" && mkdir "$2" && dpkg-deb --fsys-tarfile "$1" >"$tar" || return
	for name in "${MODULES[@]}"; do
		add_module "$tar" "$2" "$name" || return
	done
	rm "$tar"
}

# machine_of FLAVOUR: sets ARCH, as Debian calls the machine, and what the kernel's build
# calls it (KARCH), its tools (CROSS) and its image (TARGET).
# shellcheck disable=SC2034
machine_of() {
	case $1 in
	*arm64*) ARCH=arm64 KARCH=arm64 CROSS=aarch64-linux-gnu- TARGET=Image ;;
	*amd64) ARCH=amd64 KARCH=x86 CROSS=x86_64-linux-gnu- TARGET=bzImage ;;
	armhf) ARCH=armhf KARCH=arm CROSS=arm-linux-gnueabihf- TARGET=zImage ;;
	*) return 1 ;;
	esac
}

# Make prefers GNUmakefile to the Makefile that the kernel puts beside it: what is
# built in this tree later need not be told for which machine.
own_config() { # BUILD FRAGMENT
	printf '%s\n' "export ARCH = $KARCH" "export CROSS_COMPILE = $CROSS" \
		'include Makefile' >"$1/GNUmakefile" &&
		make -C "$SOURCE" O="$1" ARCH="$KARCH" CROSS_COMPILE="$CROSS" allnoconfig &&
		(cd "$1" &&
			ARCH=$KARCH "$SOURCE/scripts/kconfig/merge_config.sh" -m .config "$2") &&
		make -C "$1" olddefconfig &&
		took_effect "$1/.config" "$2"
}

# LLVM says which tools to use: to what runs from here on, and to later builds in the tree.
use_clang() { export LLVM=1; }

keep_clang() { # BUILD
	sed -i '1i export LLVM = 1' "$1/GNUmakefile"
}

# Every line of the fragment must be in the result.
took_effect() { # CONFIG FRAGMENT
	local line bad=0

	while read -r line; do
		case $line in
		CONFIG_*=n) ! grep -q "^${line%n}" "$1" ;;
		CONFIG_*=*) grep -qxF -- "$line" "$1" ;;
		esac || { printf 'no effect: %s\n' "$line" && bad=1; }
	done <"$2"
	return "$bad"
}

own_kernel() { # BUILD
	make -C "$1" -j"$(nproc)" "$TARGET" modules
}

# own_busybox DIR: for the guests of a machine that the archive's busybox is not had for:
# Debian's source, with the configuration of its busybox-static.
own_busybox() {
	local build=$1/busybox.tmp

	rm -rf "$build" && mkdir "$build" &&
		env -C "$build" apt-get -q "${APT[@]}" source busybox &&
		cp "$build"/busybox-*/debian/config/pkg/static "$build/.config" &&
		make -C "$build"/busybox-*/ O="$build" ARCH="$KARCH" CROSS_COMPILE="$CROSS" \
			oldconfig &&
		make -C "$build" ARCH="$KARCH" CROSS_COMPILE="$CROSS" -j"$(nproc)" busybox &&
		mv "$build/busybox" "$1/busybox" && rm -r "$build"
}

# What is built in needs no modules.
own_image() { # BUILD DIR
	ln "$1/arch/$KARCH/boot/$TARGET" "$2/Image" && mkdir "$2/modules"
}

# recipe KIND-BY-ARCH: the text of what makes a row.
recipe() {
	case $1 in
	stock-*)
		declare -p MAY_DIFFER && declare -f stock_config quick_rustc prepare same_config \
			stock_image add_module stock_modules
		;;
	own-*) declare -f own_config quick_rustc took_effect own_kernel own_image ;;&
	own-clang-*) declare -f use_clang keep_clang ;;&
	own-*-armhf) declare -f own_busybox ;;
	esac
}
