#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# interfaces.sh OUTPUT TREE RUSTC COMPILE PROBE...: finds out by compiling which form each
# interface has that differs between the kernels' crates, and writes the flags that tell
# the module so.  Called by Kbuild.
#
#   TREE     the kernel's build tree
#   COMPILE  a shell command that compiles a crate with the module's own flags
#   PROBE    a file of rust/compat: a form is a module under #[cfg(has_...)] and one line of
#            documentation, the newest first; the rest is the control, which must compile;
#            what is under #[cfg(probe)] is for this script only
#
# Where an interface has none of its forms, nothing is written; what the compiler said is
# in interfaces.log beside OUTPUT.

set -euo pipefail
export LC_ALL=C.UTF-8
# shellcheck source=scripts/kernel/tree.sh
. "$(dirname -- "$0")/tree.sh"

OUTPUT=$1
TREE=$2
RUSTC=$3
export COMPILE=$4
shift 4
LOG=$(readlink -m -- "$(dirname -- "$OUTPUT")/interfaces.log")
FAILED=

complain() {
	printf 'alloclab: %s\n' "$*" >&2
	FAILED=yes
}

# forms PROBE: a line for each form, the newest first: its cfg, a tab, what it is.
forms() {
	awk -F '[()]' '
		/^\/\/\/ / { said = substr($0, 5) }
		/^#\[cfg\(has_[a-z0-9_]+\)\]$/ { print $2 "\t" said }
	' "$1"
}

# compile PROBE FORM: leaves the status and what was said of one form, or of the control.
compile() {
	local name status=0

	name=$(basename "$1" .rs)
	eval "$COMPILE --cap-lints allow --crate-name $name --cfg probe --cfg $2 --emit=metadata" \
		'-o "$WORK/$name.$2.rmeta" "$1"' >"$WORK/$name.$2.log" 2>&1 </dev/null || status=$?
	printf '%s\n' "$status" >"$WORK/$name.$2.status"
}

# compiled PROBE FORM: has it?
compiled() { [ "$(cat "$WORK/$(basename "$1" .rs).$2.status")" = 0 ]; }

# choose PROBE: prints the first form that has compiled, if the control has, too.
choose() {
	local form

	compiled "$1" control || return
	while read -r form _; do
		if compiled "$1" "$form"; then
			printf '%s\n' "$form"
			return
		fi
	done < <(forms "$1")
	return 1
}

# What is said where there is no choice; the compiler's text goes to the log.
explain() { # PROBE
	local name known

	name=$(basename "$1" .rs)
	known=$(forms "$1" | cut -f 2 | paste -sd '|' | sed 's/|/; /g')
	if ! compiled "$1" control; then
		complain "kernel $RELEASE: the control of the interface $name does not compile," \
			"so that its form cannot be found out; log: $LOG; known forms: $known"
	else
		complain "kernel $RELEASE: the interface $name has none of the known forms;" \
			"log: $LOG; known forms: $known"
	fi
	(cd "$WORK" && tail -n +1 -- "$name".*.log) >>"$LOG"
}

rm -f "$LOG"
reason=$(refusal "$TREE" "$RUSTC")
if [ -n "$reason" ]; then
	complain "$reason"
	exit 1
fi
RELEASE=$(cat "$TREE/include/config/kernel.release")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export WORK
export -f compile
for probe; do
	printf '%s\n' "$probe" control
	forms "$probe" | while read -r form _; do
		printf '%s\n' "$probe" "$form"
	done
done | xargs -d '\n' -n 2 -P "$(nproc)" bash -c 'compile "$@"' compile
# A compiler that was killed has not said no.
if grep -Lx '[01]' "$WORK"/*.status | grep -q .; then
	complain "rustc was ended while it compiled the probes of rust/compat: run the same" \
		"command again; perhaps there was too little memory"
	exit 1
fi

for probe; do
	if ! form=$(choose "$probe"); then
		explain "$probe"
	else
		printf '%s\n' "--cfg=$form"
	fi
done >"$WORK/chosen"
[ -z "$FAILED" ] || exit 1
{
	echo '--check-cfg=cfg(probe)'
	for probe; do
		forms "$probe" | sed 's/\(.*\)\t.*/--check-cfg=cfg(\1)/'
	done
	cat "$WORK/chosen"
} >"$OUTPUT.tmp"
mv "$OUTPUT.tmp" "$OUTPUT"
