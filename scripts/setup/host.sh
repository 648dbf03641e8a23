# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Host side: what this machine must have, installed or explained.

PREREQUISITES=(mmdebstrap uidmap debian-archive-keyring)

host_arch() {
	case $(uname -m) in
	x86_64) printf 'amd64' ;;
	aarch64) printf 'arm64' ;;
	*) die "this machine is $(uname -m): only amd64 and arm64 machines can build alloclab." ;;
	esac
}

# Is a prerequisite there?  (Not every system that has it has dpkg.)
present() {
	case $1 in
	mmdebstrap) command -v mmdebstrap >/dev/null ;;
	uidmap) [ "$(id -u)" -eq 0 ] || command -v newuidmap >/dev/null ;;
	*) compgen -G "/usr/share/keyrings/$1.*" >/dev/null ;;
	esac
}

# Prints the prerequisites that are missing.
missing_packages() {
	local package

	for package in "${PREREQUISITES[@]}"; do
		present "$package" || printf '%s\n' "$package"
	done
}

# Installs what is missing, after saying so; one run of ours at a time.
check_packages() {
	local missing

	mapfile -t missing < <(missing_packages)
	if ((${#missing[@]} == 0)); then
		return
	fi
	hold "$ALLOCLAB_CACHE/host.lock" "the host's packages"
	mapfile -t missing < <(missing_packages)
	if ((${#missing[@]})); then
		install_missing "${missing[@]}"
	fi
	release
}

install_missing() {
	local missing=("$@") sudo=() command

	command="apt-get install --no-install-recommends ${missing[*]}"
	if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
		die "missing here: ${missing[*]}. This is not Debian: install them with this" \
			"system's package manager (on Debian: $command)."
	fi
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			die "missing here: ${missing[*]}. There is no sudo: as root, run: $command"
		elif [ -t 0 ]; then
			sudo=(sudo)
		elif sudo -n true 2>/dev/null; then
			sudo=(sudo -n)
		else
			die "missing here: ${missing[*]}. sudo asks for a password, and there" \
				"is no terminal: run: sudo $command"
		fi
	fi
	say "This machine lacks ${missing[*]}: installing with apt-get;" \
		"nothing else on it is changed."
	if ((${#sudo[@]})); then
		"${sudo[@]}" true || die "sudo refused: as root, run: $command"
	fi
	apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
		apt-get -qq -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2)
	step -d "host: ${missing[*]}" install_packages "${missing[@]}"
}

# An image may come without apt's lists, or with outdated ones.
install_packages() {
	local install=("${apt[@]}" -y --no-install-recommends install "$@")

	"${install[@]}" || { "${apt[@]}" update && "${install[@]}"; }
}

setting() { cat "/proc/sys/$1" 2>/dev/null || :; }

subordinate_ids() {
	grep -qsE "^($1|$UID):" /etc/subuid && grep -qsE "^($1|$UID):" /etc/subgid
}

# First without --map-auto: where namespaces are forbidden, unshare leaves a process
# of its own behind when it fails with it.
try_namespaces() {
	if [ "$(id -u)" -ne 0 ]; then
		unshare --map-root-user --mount --pid --fork true || return
	fi
	in_ns true
}

# Can we have namespaces?  If not, say what forbids them.
check_namespaces() {
	local why user

	if why=$(try_namespaces 2>&1); then
		return
	fi
	if [ "$(id -u)" -eq 0 ]; then
		die "root cannot make namespaces here ($why):" \
			"in a container, start it privileged (CAP_SYS_ADMIN)."
	fi
	user=$(id -un)
	if ! unshare --help | grep -q -e --map-auto; then
		die "$(unshare --version) has no --map-auto:" \
			"util-linux 2.38 or later is needed; or run as root."
	elif ! subordinate_ids "$user"; then
		die "$user has no ids in /etc/subuid and /etc/subgid: run: sudo usermod" \
			"--add-subuids 100000-165535 --add-subgids 100000-165535 $user"
	elif [ "$(setting kernel/apparmor_restrict_unprivileged_userns)" = 1 ]; then
		die "AppArmor forbids user namespaces: run:" \
			"sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
	elif [ "$(setting kernel/unprivileged_userns_clone)" = 0 ]; then
		die "user namespaces are off: run: sudo sysctl kernel.unprivileged_userns_clone=1"
	elif [ "$(setting user/max_user_namespaces)" = 0 ]; then
		die "user namespaces are off: run: sudo sysctl user.max_user_namespaces=10000"
	fi
	die "cannot make user namespaces ($why): allow them, or run as root."
}
