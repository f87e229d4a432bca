# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Common code of the scripts. Source it; do not run it.

set -euo pipefail

# shellcheck disable=SC2034  # for those that source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rust_kprobe

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf "       %s\n" "$@" >&2
	exit 1
}

# The kernel's make must not take the variables of the make that called us.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# The architecture to build for and to boot: arch is Debian's name, ARCH the kernel's,
# which its make takes from the environment.
# shellcheck disable=SC2034  # for those that source this
case ${ARCH:-amd64} in
amd64 | x86_64) arch=amd64 ARCH=x86_64 ;;
arm64 | aarch64) arch=arm64 ARCH=arm64 ;;
*) die "ARCH=$ARCH: it is amd64 or arm64" ;;
esac
export ARCH

# Prefer the tools that scripts/setup puts into the cache.
export PATH=$cache/bin:$PATH

# one_at_a_time: locks the cache; waits for other runs.
one_at_a_time() {
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! flock -n 9; then
		say "waiting for another run that is preparing $cache"
		flock 9
	fi
}

# version_le A B: whether version A is not newer than B.
version_le() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# config_of KDIR OPTION: the value in the kernel's configuration, or nothing.
config_of() {
	sed -n "s/^CONFIG_$2=\"\{0,1\}\(.*[^\"]\)\"\{0,1\}\$/\1/p" "$1/include/config/auto.conf"
}

# arch_of KDIR: the architecture of a configured kernel, as Debian names it.
arch_of() {
	if [ "$(config_of "$1" ARM64)" = y ]; then echo arm64; else echo amd64; fi
}

# kernel_arch ARCH: the variables of the kernel's make for that architecture: its name,
# and the compiler's prefix if this machine has another one.
kernel_arch() {
	case $1 in
	arm64) echo ARCH=arm64; [ "$(uname -m)" = aarch64 ] || echo CROSS_COMPILE=aarch64-linux-gnu- ;;
	*) echo ARCH=x86_64; [ "$(uname -m)" = x86_64 ] || echo CROSS_COMPILE=x86_64-linux-gnu- ;;
	esac
}

# lacks_metadata KDIR: whether these are Debian's headers of a kernel with Rust, which
# lack the metadata of its crates.
lacks_metadata() {
	[ ! -e "$1/rust/libkernel.rmeta" ] && grep -qs ' Debian ' "$1/include/generated/package.h" &&
		grep -qs '^CONFIG_RUST=y' "$1/.config"
}

# root_of KDIR: the root with the tools of a KDIR that scripts/stock made, or nothing.
root_of() {
	case $1 in
	"$cache"/stock/*/build) readlink "${1%/build}/root" || true ;;
	esac
}

# stock_make CONFIG: the variables of the kernel's make for a kernel of Debian, so that
# it uses the compiler of the configuration by the same name.
stock_make() {
	local cc
	cc=$(sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ "]*\).*/\1/p' "$1")
	case $cc in
	aarch64-*) echo ARCH=arm64 ;;
	*) echo ARCH=x86_64 ;;
	esac
	echo "CROSS_COMPILE=${cc%gcc*}"
	echo "CC=$cc"
}

# llvm_of KDIR: the value of LLVM= for the kernel's make, empty for gcc.
llvm_of() {
	local version
	[ "$(config_of "$1" CC_IS_CLANG)" = y ] || return 0
	version=$(config_of "$1" CLANG_VERSION)
	version=$((version / 10000))
	if command -v "clang-$version" >/dev/null; then echo "-$version"; else echo 1; fi
}
