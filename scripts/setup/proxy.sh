# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Host side: the proxies that the host's apt uses, for the build root's apt, and the variables
# that say where cargo takes crates from.

# The names of a file of apt's configuration in a root, and of variables that mean proxies.
PROXY_CONFIGURATION=etc/apt/apt.conf.d/alloclab-proxy
PROXY_VARIABLES=(http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
	NO_PROXY)

# proxies [ROOT]: prints them as lines of apt's configuration, or nothing.  A program that
# finds a proxy is named as it is; for a ROOT, which does not have it, it is asked here about
# the address that the root takes packages from.
proxies() {
	local program='' address answer

	command -v apt-config >/dev/null || return 0
	apt-config dump | grep -E '^Acquire::https?::Proxy(::[^ ]+)? "[^"]+";$' || :
	eval "$(apt-config shell program Acquire::http::Proxy-Auto-Detect)"
	[ -n "$program" ] || eval "$(apt-config shell program Acquire::http::ProxyAutoDetect)"
	if [ -z "$program" ]; then
		return
	elif [ $# -eq 0 ]; then
		printf 'Acquire::http::Proxy-Auto-Detect "%s";\n' "$program"
		return
	fi
	address=$(cat -- "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*.sources \
		2>/dev/null |
		sed -nE 's/^(deb( \[[^]]*\])?|URIs:) +([^ ]+).*/\3/p' | head -n 1)
	answer=$(timeout 10 "$program" "$address" 2>/dev/null | head -n 1) || :
	if [[ $answer =~ ^(DIRECT|[a-z0-9]+://[^\"[:space:]]+)$ ]]; then
		printf 'Acquire::http::Proxy "%s";\n' "$answer"
	fi
}

# registry_variables: the names of variables that tell cargo of registries and of the network.
# Secrets are none of them, nor are files, which a root does not have.
registry_variables() {
	local name

	for name in "${!CARGO_HTTP_@}" "${!CARGO_NET_@}" "${!CARGO_REGISTRIES_@}" \
		"${!CARGO_REGISTRY_@}"; do
		case $name in
		*TOKEN* | *CREDENTIAL* | CARGO_HTTP_CAINFO) ;;
		*) printf '%s\n' "$name" ;;
		esac
	done
}
