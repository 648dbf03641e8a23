# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What a kernel's build tree must have to take a Rust module.

# setting TREE OPTION: the value of a configuration option, without quotes.
setting() { sed -n "s/^$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1/include/config/auto.conf"; }

# refusal TREE RUSTC: prints in one sentence why no Rust module can be built for the
# kernel of this tree and what to do about it; prints nothing where one can.
refusal() {
	local tree=$1 built here file again

	again="in the source of this very kernel, with its .config, run 'make modules_prepare'"

	if [ ! -r "$tree/include/config/auto.conf" ]; then
		echo "$tree is not the build tree of a kernel that is prepared for" \
			"modules: $again, and name that tree."
		return
	fi
	if [ "$(setting "$tree" CONFIG_RUST)" != y ]; then
		echo "the kernel of $tree has no Rust (CONFIG_RUST is not set), so no" \
			"Rust module can be built for it: build it with CONFIG_RUST=y, or take" \
			"another kernel."
		return
	fi
	built=$(setting "$tree" CONFIG_RUSTC_VERSION_TEXT)
	here=$("$2" --version 2>/dev/null || echo "no '$2'")
	if [ "$built" != "$here" ]; then
		echo "the kernel of $tree was built with '$built', and here is" \
			"'$here', but a Rust module needs the very same compiler: install that" \
			"one, and name it with RUSTC=."
		return
	fi
	for file in libcore.rmeta libkernel.rmeta libpin_init.rmeta libmacros.so; do
		if [ ! -r "$tree/rust/$file" ]; then
			echo "$tree has no Rust metadata (rust/$file is missing), which" \
				"packages of headers leave out: $again, and name that tree."
			return
		fi
	done
}

# The kernel's make does not build elsewhere what has once been built in place.
refuse_built_in_place() {
	[ ! -e modules.order ] ||
		die "this clone holds what the kernel's make has built in place: 'make clean'" \
			"removes it, and 'make KDIR=' builds in out/."
}

# take_modules DIR RELEASE: copies the modules that were built there into the clone.
take_modules() {
	local name

	for name in alloclab.ko alloclab_usb.ko; do
		# A kernel may have no USB.
		if [ "$name" = alloclab_usb.ko ] && [ ! -e "$1/$name" ]; then
			rm -f "$name"
			continue
		fi
		[ "$1/$name" -ef "$name" ] || cp -- "$1/$name" . || return
		say "$name is for $2"
	done
}
