#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [CHECK...]: every check, or those whose name begins so, prints a line with its
# name, the number of files and its result; the status is 0 only if all passed.  Runs in
# the build root.

set -euo pipefail
. scripts/setup/lib.sh
. scripts/kernel/recipes.sh

OUT=$PWD/out/check
ONLY=("$@")
declare -A FOUND
failed=0
passed=0

# wanted NAME: is this check asked for?
wanted() {
	local name status=1

	((${#ONLY[@]})) || return 0
	for name in "${ONLY[@]}"; do
		if [[ $1 = "$name"* ]]; then
			FOUND[$name]=yes
			status=0
		fi
	done
	return "$status"
}

# files PATTERN...: the tree's own files with such names, a line each.
files() {
	local names=() pattern

	for pattern in "$@"; do
		names+=(-o -name "$pattern")
	done
	find . \( -path ./.git -o -path ./out \) -prune -o -type f ! -name '*.mod.c' \
		\( "${names[@]:1}" \) -print | sed 's|^\./||' | sort
}

# check NAME COMMAND...: runs a check over the files on stdin, which are added to
# the command; it has passed if its status is 0.
check() {
	local name=$1 log start list=() result=ok

	shift
	mapfile -t list
	wanted "$name" || return 0
	log=$OUT/$(tr -cs 'A-Za-z0-9\n' - <<<"$name").log
	start=$(now)
	if ((${#list[@]} == 0)); then
		result=FAILED
	elif ! "$@" "${list[@]}" >"$log" 2>&1 </dev/null; then
		result=FAILED
		cat -- "$log"
	fi
	printf '%-34s %3d files %6s s  %s\n' "$name" "${#list[@]}" \
		"$(seconds "$(($(now) - start))")" "$result"
	if [ "$result" = ok ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# The command is a package of its own, by Rust's own rules.
format_command() { rustfmt --check --edition 2024 "$@"; }

# Clippy of the very same version as rustc, with the lints of user/Cargo.toml; a warning fails.
lint_command() { scripts/user.sh clippy; }

format() {
	rustfmt --check --edition 2021 --config-path "$source/.rustfmt.toml" "$@"
}

# lint ROW FILE...: the kernel's lint set on a fresh build; a warning fails.
lint() {
	local row=$1 dir out=$OUT/clippy-$1

	dir=$(scripts/kernel/kernel.sh dir "$row") || return
	rm -rf "$out"
	mkdir -p "$out"
	if ! make -C "$dir/build" M="$PWD" MO="$out" -j"$(nproc)" CLIPPY=1 TESTS=1 modules \
		>"$out.log" 2>&1 || grep -qiE '^warning|[^-]warning:' "$out.log"; then
		cat "$out.log"
		return 1
	fi
}

# What rustdoc makes of src/ and rust/, with the flags of the build for the linter.
document() {
	[ -e "$OUT/clippy-debian" ] || lint debian || return
	scripts/crate.py doc debian --built "$OUT/clippy-debian" --out "$OUT/doc"
}

# style TYPES FILE...: the kernel's checkpatch, without messages of these types.
style() {
	local ignore=$1

	shift
	perl "$source/scripts/checkpatch.pl" --strict --no-tree --quiet --no-summary --show-types \
		--ignore "$ignore" -f "$@"
}

# The overlays of QEMU's machine as they are booted: merged into QEMU's tree, against the binding.
overlays() {
	local overlay

	dt-mk-schema -j dts/*.yaml >"$OUT/schema.json" && merge_overlays "$@" || return
	for overlay; do
		silent dt-validate -s "$OUT/schema.json" -l alloclab \
			"$OUT/$(basename "$overlay" .dtso)/merged.dtb" || return
	done
}

merge_overlays() {
	PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1 python3 - "$OUT" "$@" <<-'PYTHON'
		import pathlib
		import sys
		from guest.machine import MACHINES
		from guest.qemu import merged_tree

		for overlay in map(pathlib.Path, sys.argv[2:]):
		    directory = pathlib.Path(sys.argv[1]) / overlay.stem
		    directory.mkdir()
		    merged_tree(MACHINES["arm64"], [overlay], directory)
	PYTHON
}

# The binding and its example, as the kernel's dt_binding_check has it.
binding() {
	local yaml example

	silent dt-doc-validate -u dts "$@" && dt-mk-schema -j "$@" >"$OUT/schema.json" || return
	for yaml; do
		example=$OUT/$(basename "$yaml" .yaml).example
		dt-extract-example "$yaml" >"$example.dts" &&
			cpp -nostdinc -undef -D__DTS__ -x assembler-with-cpp -I "$source/include" \
				"$example.dts" >"$example.i" &&
			silent dtc -Wno-avoid_unnecessary_addr_size -Wno-unit_address_vs_reg \
				-I dts -O dtb -o "$example.dtb" "$example.i" &&
			silent dt-validate -s "$OUT/schema.json" -l alloclab "$example.dtb" ||
			return
	done
}

# The options for Raspberry Pi OS's kernel, on top of a configuration that has what stands in
# their way there: each takes effect.
pi_options() { # FRAGMENT
	local build=$OUT/raspberry-pi make

	make=(make -C "$source" O="$build" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
	mkdir "$build" && "${make[@]}" defconfig &&
		printf 'CONFIG_MODVERSIONS=y\n' >>"$build/.config" &&
		"${make[@]}" olddefconfig &&
		grep -qx CONFIG_MODVERSIONS=y "$build/.config" &&
		! grep -qx CONFIG_RUST=y "$build/.config" || return
	(cd "$build" && ARCH=arm64 "$source/scripts/kconfig/merge_config.sh" -m .config \
		"$OLDPWD/$1") && "${make[@]}" olddefconfig && took_effect "$build/.config" "$1"
}

# Passes only if the command says nothing.
silent() {
	local said status=0

	said=$("$@" 2>&1) || status=$?
	if ((status)) || [ -n "$said" ]; then
		printf '%s\n' "$said"
		return 1
	fi
}

licence() {
	local file bad=0

	for file; do
		if ! head -n 2 "$file" | grep -qE '[S]PDX-[L]icense-Identifier: GPL-2.0'; then
			printf '%s: no SPDX line\n' "$file"
			bad=1
		fi
	done
	return "$bad"
}

# src/ is safe Rust, calls no raw binding, and knows no kernel versions or interfaces.
safe() {
	local keyword='\bunsafe[[:space:]]*([({]|fn\b|impl\b|trait\b|extern\b)'

	! sed 's|//.*||' "$@" | grep -E "$keyword|\bbindings\b" &&
		! grep -nE '\b(kernel_[0-9]|has_[a-z_]+\))' "$@"
}

# Names that begin with two underscores are the kernel crate's own; these are C's.
private() {
	! sed -E 's|//.*||; s/\b__(this_module|GFP_[A-Z_]+)\b//g' "$@" | grep -E '\b__[A-Za-z]'
}

# What is read first has at most so many lines.
README_LINES=160
short() { # FILE
	local lines

	lines=$(wc -l <"$1")
	if ((lines > README_LINES)); then
		printf '%s: %d lines, allowed are %d\n' "$1" "$lines" "$README_LINES"
		return 1
	fi
}

# No two types have one name.
one_name() {
	! awk '
		sub(/^(pub(\([a-z]+\))? )?(unsafe )?(struct|enum|union|trait|type) /, "") {
			sub(/[^A-Za-z0-9_].*/, "")
			files[$0] = files[$0] " " FILENAME
			count[$0]++
		}
		END {
			for (name in files)
				if (count[name] > 1)
					print name ":" files[name]
		}' "$@" | sort | grep .
}

# types DIR FILE...: what bindgen has written below DIR is what is in the tree.
types() {
	local dir=$1 file bad=0

	shift
	for file; do
		diff -u "$file" "$dir/$file" || bad=1
	done
	return "$bad"
}

# No block extern "C" has a function.
by_hand() {
	! awk 'FNR == 1 || /^ *\}/ { inside = 0 }
		/(^|[^a-z_])extern "C" \{/ { inside = 1 }
		inside && /(^|[^a-z_])fn [a-z_]/ { print FILENAME ": " $0 }' "$@" | grep .
}

# documented CHECK PAGE FILE...: the tables of a page of doc/ are what the files say.
documented() { PYTHONDONTWRITEBYTECODE=1 scripts/doc.py "$@"; }

row=$(scripts/kernel/kernel.sh dir debian)
source=$(sed -n 's/^SOURCE=//p' "$row/row")
mapfile -t rows < <(scripts/kernel/kernel.sh names test check)
for name in "${rows[@]}"; do
	! wanted "clippy, kernel $name" || scripts/kernel/kernel.sh dir "$name" >/dev/null
done
rm -rf "$OUT"
mkdir -p "$OUT"
# Checkpatch is made for patches of the kernel.  These of its messages do not fit:
# a binding of ours is not in the kernel's tree; scripts show their own name in
# their usage; in Python and shell a word may well follow itself.
binding_types=UNDOCUMENTED_DT_STRING
script_types=EMBEDDED_FILENAME,REPEATED_WORD

check rustfmt format < <(files '*.rs' | grep -v '^user/')
check "user: rustfmt" format_command < <(files '*.rs' | grep '^user/')
check "user: clippy" lint_command < <(files '*.rs' | grep '^user/')
for name in "${rows[@]}"; do
	check "clippy, kernel $name" lint "$name" < <(files '*.rs' | grep -v '^user/')
done
check rustdoc document < <(files '*.rs' | grep -E '^(rust|src)/')
check checkpatch style "$binding_types" \
	< <(files '*.rs' '*.c' '*.h' '*.dts' '*.dtso' Makefile Kbuild)
check "checkpatch, scripts" style "$script_types" < <(files '*.sh' '*.py' run doctor)
check shellcheck shellcheck -x -s bash < <(files '*.sh' run)
check "shellcheck, POSIX" shellcheck -s sh < <(files doctor)
check flake8 flake8 --max-line-length 100 < <(files '*.py')
check "dt-schema: binding, example" binding < <(files '*.yaml')
check "dt-schema: overlays" overlays < <(files 'virt-*.dtso')
check "options for Raspberry Pi OS" pi_options < <(files 'raspberry-pi.config')
check "SPDX lines" licence < <(files '*.rs' '*.[ch]' '*.dtso' '*.yaml' '*.sh' '*.py' \
	'*.config' '*.ini' Makefile Kbuild Cargo.toml table help run doctor)
check "src/: no unsafe, no versions" safe < <(files '*.rs' | grep '^src/')
check "no private names of the kernel" private < <(files '*.rs' | grep -E '^(rust|src)/')
check "README: not too long" short < <(echo README.md)
# The forms of one interface have the same names.
check "one name for one type" one_name \
	< <(files '*.rs' | grep -E '^(rust|src)/' | grep -v '^rust/compat/')
for name in "${rows[@]}"; do
	check "C's types, kernel $name" types "$OUT/bindgen-$name" < <(
		! wanted "C's types, kernel $name" ||
			scripts/kernel/bindgen.sh "$name" "$OUT/bindgen-$name")
done
check "C's functions: none by hand" by_hand \
	< <(files '*.rs' | xargs -d '\n' grep -L '^//! .*made by scripts/kernel/bindgen.sh')
check "doc: methods and flags" documented methods \
	< <(printf '%s\n' doc/methods.md rust/gfp.rs src/method/table.rs src/method.rs \
		rust/compat/vmalloc_gfp.rs rust/limits.rs src/method/*.rs)
check "doc: debugfs files" documented debugfs \
	< <(printf '%s\n' doc/debugfs.md src/control.rs src/report.rs)
check "doc: device-tree properties" documented properties \
	< <(printf '%s\n' doc/device-tree.md dts/alloclab,{button,probe}.yaml src/node.rs)
check "doc: module parameters" documented parameters \
	< <(printf '%s\n' doc/device-tree.md rust/params.c)
check "doc: parameters for USB" documented parameters \
	< <(printf '%s\n' doc/usb.md rust/usb/params.c)
check "doc: excerpts" documented excerpts < <(echo doc/probes.md && files '*.rs')
check "doc: kernels" documented kernels \
	< <(printf '%s\n' doc/kernels.md README.md scripts/kernel/table)
check "doc: interfaces" documented interfaces < <(printf '%s\n' doc/kernels.md rust/compat/*.rs)
check "doc: targets of make" documented targets \
	< <(printf '%s\n' doc/testing.md scripts/help Makefile)
check "doc: torture tests" documented torture \
	< <(printf '%s\n' doc/testing.md scripts/kernel/table tests/torture/test_*.py)
check "doc: the command" documented command \
	< <(printf '%s\n' doc/command.md doc/methods.md user/src/{args,failure,compare}.rs)
check "doc: messages" documented messages \
	< <(echo doc/errors.md && files '*.sh' '*.py' '*.rs' '*.c' |
		grep -E '^(rust|scripts|src)/' | grep -v '^scripts/doc.py$')
check "doc: figures of make bench" documented bench \
	< <(printf '%s\n' README.md doc/bench.md tests/bench/record.json)
check "doc: links and paths" documented links < <(files '*.md')
for name in "${ONLY[@]}"; do
	[ -n "${FOUND[$name]:-}" ] || die "no check has a name that begins with '$name'"
done
echo "not checked: the style of *.yaml, *.md, *.config and scripts/kernel/table"
echo "$passed checks passed, $failed failed"
((failed == 0))
