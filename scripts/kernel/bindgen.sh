#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bindgen.sh ROW DIR: has bindgen say what Rust calls in C, writes that below DIR, and prints the
# names of the files.  It is called as the build of the row's kernel has called it for the
# kernel's own helpers.  After a change in C, in the build root: scripts/kernel/bindgen.sh kunit .

set -euo pipefail
. scripts/setup/lib.sh

ROW=$(scripts/kernel/kernel.sh dir "${1:?a row}")
DIR=$(readlink -m -- "${2:?a directory}")
SOURCE=$(sed -n 's/^SOURCE=//p' "$ROW/row")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# The kernel's command: bindgen, what differs, --rust-target VERSION, the options that all of
# the kernel's bindings have, -o OUTPUT, --, the compiler's flags.
SAVED=$ROW/build/rust/bindings/.bindings_helpers_generated.rs.cmd
COMMAND=$(sed -n '1s/^savedcmd_[^ ]* := //p' "$SAVED")
BINDGEN=${COMMAND%% *}
OPTIONS=${COMMAND#* --rust-target * }
OPTIONS=${OPTIONS%% -o *}
FLAGS=${COMMAND#* -- }
# Not the list of the headers read, which would be written into the kernel's tree.
FLAGS=$(sed -E 's/ ; sed .*//; s/-Wp,-MMD,[^ ]*//' <<<"$FLAGS")

# What stands before the functions.
heading() { # FILE...
	printf '// %s-License-Identifier: GPL-2.0\n\n' SPDX
	printf '//! %s\n' "What is called in C: made by scripts/kernel/bindgen.sh of" "$*."
	cat <<-'RUST'

		#![allow(
		    improper_ctypes,
		    non_camel_case_types,
		    unreachable_pub,
		    reason = "it is bindgen's; C's zero-sized structs are only pointed to"
		)]

		use kernel::{
		    bindings::*,
		    ffi, //
		};

	RUST
}

# declare_functions OUTPUT NAME FILE...: what is defined in the files, and what NAME matches of
# the kernel's own functions and types that not every kernel has in its bindings.
declare_functions() {
	local OUT=$DIR/$1 name=$2 file files=() fixed=() flags=()

	shift 2
	for file; do
		files+=(--allowlist-file ".*/${file//./\\.}")
		printf '#include "%s"\n' "$PWD/$file"
	done >"$WORK/input.c"
	eval "fixed=($OPTIONS)"
	eval "flags=($FLAGS)"
	mkdir -p "${OUT%/*}"
	# In a form that each rustc takes that builds our kernels.
	env -C "$ROW/build" "$BINDGEN" "$WORK/input.c" "${fixed[@]}" --rust-target 1.78 \
		--disable-header-comment --no-doc-comments --merge-extern-blocks \
		--no-recursive-allowlist --generate "functions,types" \
		--blocklist-type '_bindgen_ty_.*' --allowlist-function "$name" \
		--allowlist-type "$name" "${files[@]}" --raw-line "$(heading "$@")" \
		-o "$OUT" -- "${flags[@]}"
	rustfmt --edition 2021 --config-path "$SOURCE/.rustfmt.toml" "$OUT"
	printf '%s\n' "${OUT#"$DIR"/}"
}

declare_functions rust/helpers.rs 'vfree|dma_pool' \
	rust/helpers.c rust/line.c rust/params.c rust/spi.c
declare_functions rust/usb/helpers.rs '' rust/usb/helpers.c rust/usb/params.c
if grep -qx CONFIG_KUNIT=y "$ROW/build/.config"; then
	declare_functions tests/kunit/helpers.rs 'kunit_device_(un)?register' tests/kunit/helpers.c
fi
declare_functions tests/bench/pairs.rs '' tests/bench/pairs.c
