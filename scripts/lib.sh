# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Common code of the scripts. Source it; do not run it.

set -euo pipefail

# ^C ends the script, also if the program that it waits for makes an error of it.
trap 'trap - INT; kill -INT $BASHPID' INT

# Variables of the user's that change what cd prints, and where Python finds modules.
unset CDPATH PYTHONSAFEPATH

# Paths here have no symbolic links: the kernel's make, and a root file system made by
# debian-root, would not agree on them.
# shellcheck disable=SC2034  # for those that source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# say WORDS...: tells the user. `locked` shows it to runs that wait for this one, too.
say() {
	printf '==> %s\n' "$*" >&2
	[ -z "${KPROBES_DOING:-}" ] || printf '    %s\n' "$*" >>"$KPROBES_DOING"
}

die() {
	printf 'error: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf "       %s\n" "$@" >&2
	exit 1
}

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || die "neither HOME nor XDG_CACHE_HOME is set: there is no place for the cache"
cache=${XDG_CACHE_HOME:-${HOME:-}/.cache}/rust_kprobe
# The kernel's make cannot work there.
case $root:$cache in
*[[:space:]]*) die "a folder whose name has a space: ${root@Q}, with the cache in ${cache@Q}; the kernel's make takes none" ;;
esac
case $cache in /*) ;; *) die "XDG_CACHE_HOME=$XDG_CACHE_HOME: not an absolute path" ;; esac
cache=$(realpath -m "$cache")

# The kernel's make must not take the variables of the make that called us.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

# version_le A B: whether version A is not newer than B.
version_le() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# shellcheck source=scripts/variables.sh
. "$root/scripts/variables.sh"
check_variables

# choose_kernel: sets KERNEL to the default. It is the kernel that Debian ships, which is
# ready sooner than one that has to be built, and closer to what users run. The tests, the
# benchmark and lint set KERNEL=workbench instead.
choose_kernel() {
	local kernel=stock
	[ -z "${KSRC:-}${KVER:-}" ] || kernel=workbench
	export KERNEL=${KERNEL:-$kernel}
}

# The architecture to build for and to boot: arch is Debian's name, ARCH the kernel's,
# which its make takes from the environment.
# shellcheck disable=SC2034  # for those that source this
case ${ARCH:-amd64} in
amd64 | x86_64) arch=amd64 ARCH=x86_64 ;;
arm64 | aarch64) arch=arm64 ARCH=arm64 ;;
esac
export ARCH

# Prefer the tools that scripts/setup puts into the cache. Debian's PATH of a user who is
# not root lacks chroot and depmod.
[[ $PATH == "$cache/bin:"* ]] || export PATH=$cache/bin:$PATH:/usr/sbin:/sbin

# ticking WORDS COMMAND...: runs a command that is silent, and says so every eight
# seconds, for as long as this process lives.
ticking() {
	local words=$1 starter=$BASHPID ticker status=0
	shift
	(
		exec 3<> <(:)
		# What waits for the output of a command substitution waits for this too, so it
		# must not outlive who has started it.
		for ((n = 1; ; n++)); do
			read -rt 1 -u 3 _ || grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$starter/status" || exit
			[ $((n % 8)) -ne 0 ] || say "  $words, $n s so far"
		done
	) &
	ticker=$!
	"$@" || status=$?
	kill $ticker 2>/dev/null || true
	wait $ticker 2>/dev/null || true
	return $status
}

# stop PID: ends a job, and what it has started.
stop() {
	local child children=()
	{ read -ra children <"/proc/$1/task/$1/children"; } 2>/dev/null || true
	for child in "${children[@]}"; do stop "$child"; done
	kill "$1" 2>/dev/null || true
}

# locked ITEM COMMAND...: takes the lock of ITEM, a thing in the cache, and runs COMMAND. If
# another run has the lock, it waits, and shows what that run says. Callers first test
# whether ITEM is complete, and COMMAND tests again.
locked() {
	local item=$1 file=$cache/locks/${1//\//-} fd follower doing=${KPROBES_DOING:-} me=$BASHPID
	shift
	mkdir -p "$cache/locks" 2>/dev/null || die "$cache: the cache cannot be written"
	[ -w "$cache/locks" ] || die "$cache: the cache cannot be written"
	exec {fd}>>"$file"
	if ! flock -n $fd; then
		say "waiting for another run, which makes $item:"
		tail -n 2 -s 0.5 --pid=$me -F "$file" {fd}>&- >&2 2>/dev/null &
		follower=$!
		flock $fd
		kill $follower 2>/dev/null || true
	fi
	: >"$file"
	# What say() says from here on, and scripts/progress.
	export KPROBES_DOING=$file
	"$@"
	export KPROBES_DOING=$doing
	exec {fd}>&-
}

# lock_builds FOLDER: lets nobody else build there, or in another folder of this
# project's if it is one of them, until this process and its children have ended. Waits
# for those who do.
lock_builds() {
	local folder=$1
	case $folder/ in "$root"/*) folder=$root ;; esac
	[ "${KPROBES_LOCKED:-}" != "$folder" ] || return 0
	exec 8<"$folder"
	if ! flock -n 8; then
		say "waiting for another run, which uses what is built in $folder"
		flock 8
	fi
	export KPROBES_LOCKED=$folder
}

# library_source: the source of Rust's library that setup has found.
library_source() {
	local at
	at=$(cat "$cache/rust-lib-src")
	case $at in /*) echo "$at" ;; *) echo "$cache/$at" ;; esac
}

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
	"$cache"/stock/*/build) readlink -f "${1%/build}/root" || true ;;
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
