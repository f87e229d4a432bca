# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034  # variables for the sourcing scripts
#
# Common code of the scripts. Source it; do not run it.

set -euo pipefail
shopt -s inherit_errexit

# Exit on ^C, even if the child handles the signal.
trap 'trap - INT; kill -INT $BASHPID' INT

# These change the output of cd, Python's module path, and the kernel's make.
unset CDPATH PYTHONSAFEPATH MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf "       %s\n" "$@" >&2
	exit 1
}

# No symbolic links in paths: the kernel's make resolves them, and a root file system of debian-root
# may lack them.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] ||
	die "neither HOME nor XDG_CACHE_HOME is set: no place for the cache"
cache=${XDG_CACHE_HOME:-${HOME:-}/.cache}/rust_kprobe
case $cache in /*) ;; *) die "XDG_CACHE_HOME=$XDG_CACHE_HOME: not an absolute path" ;; esac
cache=$(realpath -m "$cache")
[[ $root:$cache != *[[:space:]]* ]] ||
	die "kbuild does not support a space in a folder name: ${root@Q}," \
		"with the cache in ${cache@Q}"

# version_le A B: returns whether A <= B.
version_le() { printf '%s\n%s\n' "$1" "$2" | sort -CV; }

series_known() { awk '!/^#/ {print $1}' "$root/scripts/kernels" | xargs; }

# Check the user's variables before anything starts: name, pattern, and the error.
while read -r name pattern words; do
	[[ -z ${!name:-} || ${!name} =~ ^($pattern)$ ]] || die "$name=${!name}: $words"
done <<'EOF'
ARCH amd64|x86_64|arm64|aarch64|riscv64|riscv must be one of: amd64 arm64 riscv64
KERNEL stock|workbench|debug must be one of: stock workbench debug
ACCEL auto|kvm|tcg must be one of: auto kvm tcg
CPUS [1-9]|[1-5][0-9]|6[0-4] must be a number from 1 to 64
LIMIT [1-9][0-9]{0,4} must be a number from 1 to 99999
MINUTES [1-9][0-9]{0,3} must be a number from 1 to 9999
RUNS [1-9][0-9]{0,8} must be a number from 1 to 999999999
MEMORY [1-9][0-9]*G|[1-9][0-9]{3,}M|2[6-9][0-9]M|25[6-9]M|[3-9][0-9]{2}M at least 256M, such as 1G
STOCK [0-9]+\.[0-9.]+\+deb[0-9]+.*(amd64|arm64).* a Debian release is like 7.2.12+deb13-amd64
KDIR [^[:space:]]* kbuild does not support a space in a folder name
EOF
[ -z "${KDIR:-}" ] || [ -d "$KDIR" ] || die "KDIR=$KDIR: no such folder"
# Allow a series newer than those in scripts/kernels.
[ -z "${KVER:-}" ] || [[ " $(series_known) " == *" $KVER "* ]] ||
	{ [[ $KVER =~ ^[0-9]+\.[0-9]+$ ]] &&
		version_le "$(series_known | cut -d' ' -f1)" "$KVER"; } ||
	die "KVER=$KVER: not a supported kernel; scripts/kernels has: $(series_known)"
case ${KERNEL:-}-${ARCH:-} in
debug-a[ar]*64 | debug-r*) die "KERNEL=debug ARCH=$ARCH: the debug kernel supports amd64 only" ;;
stock-r*) die "KERNEL=stock ARCH=$ARCH: Debian's kernel has no Rust on this architecture" ;;
stock-*)
	[ -z "${KVER:-}" ] ||
		die "KERNEL=stock does not support KVER=;" "STOCK=RELEASE selects a Debian kernel"
	;;
esac

# choose_kernel: sets KERNEL to the default, Debian's kernel, which is ready sooner than one that
# has to be built, and closer to what users run. The tests, the benchmark and lint set
# KERNEL=workbench instead. Debian's kernel for riscv64 has no Rust.
choose_kernel() {
	[ "$arch" != riscv64 ] || KERNEL=${KERNEL:-workbench}
	KERNEL=${KERNEL:-${KVER:+workbench}}
	export KERNEL=${KERNEL:-stock}
}

# The architecture to build for and to boot: Debian's name, and the kernel's for its make.
case ${ARCH:-amd64} in
amd64 | x86_64) arch=amd64 ARCH=x86_64 ;;
arm64 | aarch64) arch=arm64 ARCH=arm64 ;;
riscv64 | riscv) arch=riscv64 ARCH=riscv ;;
esac
export ARCH

# Prefer the tools that scripts/setup puts into the cache. Debian's PATH of an unprivileged user
# lacks chroot and depmod.
[[ $PATH == "$cache/bin:"* ]] || export PATH=$cache/bin:$PATH:/usr/sbin:/sbin

# locked ITEM COMMAND...: runs COMMAND with the lock of ITEM in the cache. Callers first test
# whether ITEM is complete; COMMAND tests again.
locked() {
	local item=$1 fd
	shift
	{ mkdir -p "$cache/locks" && [ -w "$cache/locks" ]; } 2>/dev/null ||
		die "$cache: the cache cannot be written"
	exec {fd}>"$cache/locks/${item//\//-}"
	flock -n "$fd" || { say "waiting for another run to make $item"; flock "$fd"; }
	"$@"
	exec {fd}>&-
}

# lock_builds FOLDER: takes the build lock of FOLDER until this process and its children end. All
# folders of this project share one lock.
lock_builds() {
	local folder=$1
	case $folder/ in "$root"/*) folder=$root ;; esac
	[ "${KPROBES_LOCKED:-}" != "$folder" ] || return 0
	exec 8<"$folder"
	flock -n 8 ||
		{ say "waiting for another run that uses the build in $folder"; flock 8; }
	export KPROBES_LOCKED=$folder
}

# config_of CONFIG OPTION: prints the value of an option in a kernel's configuration, or nothing.
config_of() { sed -n "s/^CONFIG_$2=\"\?\([^\"]*\)\"\?\$/\1/p" "$1"; }

# make_target CONFIG: prints the kernel make's variables for a configuration: the architecture, and
# the prefix of a cross compiler or LLVM=.
make_target() {
	local target=x86_64 version
	[ "$(config_of "$1" ARM64)" != y ] || target=aarch64
	[ "$(config_of "$1" RISCV)" != y ] || target=riscv
	echo "ARCH=${target/aarch64/arm64}"
	if [ "$(config_of "$1" CC_IS_CLANG)" = y ]; then
		version=$(config_of "$1" CLANG_VERSION)
		version=-$((version / 10000))
		command -v "clang$version" >/dev/null || version=1
		echo "LLVM=$version"
	elif [ "$(uname -m)" != $target ]; then
		echo "CROSS_COMPILE=$target-linux-gnu-"
	fi
}

# lacks_metadata KDIR: returns whether these are Debian's headers, which lack Rust's metadata.
lacks_metadata() {
	[ ! -e "$1/rust/libkernel.rmeta" ] && grep -qs '^CONFIG_RUST=y' "$1/.config" &&
		grep -qs ' Debian ' "$1/include/generated/package.h"
}

# root_of KDIR: prints the root file system with the tools, if scripts/stock made KDIR.
root_of() {
	case $1 in "$cache"/stock/*/build) readlink -f "${1%/build}/root" || true ;; esac
}
