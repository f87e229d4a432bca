# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Refuses values of the user's variables that mean nothing, before anything is begun.
# lib.sh sources it.

# series_known: the series of scripts/kernels, newest first.
# shellcheck disable=SC2154  # lib.sh sets root
series_known() { awk '!/^#/ {print $1}' "$root/scripts/kernels" | paste -sd' '; }

# number NAME MIN MAX: NAME is unset, or a decimal number in that range.
number() {
	local value=${!1:-}
	[ -n "$value" ] || return 0
	[[ $value =~ ^[1-9][0-9]{0,8}$ && $value -ge $2 && $value -le $3 ]] ||
		die "$1=$value: it is a number from $2 to $3"
}

# one_of NAME WORD...: NAME is unset, or one of the words.
one_of() {
	local name=$1 word
	shift
	[ -n "${!name:-}" ] || return 0
	for word; do [ "$word" != "${!name}" ] || return 0; done
	die "$name=${!name}: it is one of: $*"
}

check_variables() {
	local newest
	one_of ARCH amd64 x86_64 arm64 aarch64
	one_of KERNEL stock workbench debug
	one_of ACCEL auto kvm tcg
	one_of ICOUNT 0 1
	number CPUS 1 64
	number LIMIT 1 86400
	number MINUTES 1 10000
	number RUNS 1 999999999
	[[ ${MEMORY:-1G} =~ ^[1-9][0-9]*[MG]$ ]] ||
		die "MEMORY=$MEMORY: it is a number with M or G, as 1G"
	case ${MEMORY:-1G} in
	*M) [ "${MEMORY%M}" -ge 256 ] || die "MEMORY=$MEMORY: a guest needs 256M and more" ;;
	esac
	[[ ${STOCK:-7.2.12+deb13-amd64} =~ ^[0-9]+\.[0-9.]+\+deb[0-9]+.*(amd64|arm64) ]] ||
		die "STOCK=$STOCK: a release of Debian's is like 7.2.12+deb13-amd64"
	[ -z "${KDIR:-}" ] || [ -d "$KDIR" ] || die "KDIR=$KDIR: no such folder"
	[[ ${KDIR:-} != *[[:space:]]* ]] || die "KDIR=$KDIR: the kernel's make takes no folder with a space in its name"
	[ -z "${KSRC:-}" ] || [ -e "$KSRC/rust/Makefile" ] ||
		die "KSRC=$KSRC: not a kernel source tree with Rust"
	if [ -n "${KVER:-}" ]; then
		read -r newest _ <<<"$(series_known)"
		[[ " $(series_known) " == *" $KVER "* ]] ||
			{ [[ $KVER =~ ^[0-9]+\.[0-9]+$ ]] && ! version_le "$KVER" "$newest"; } ||
			die "KVER=$KVER: not a supported kernel; scripts/kernels has: $(series_known)"
	fi
	case ${KERNEL:-}-${ARCH:-} in
	debug-arm64 | debug-aarch64) die "KERNEL=debug ARCH=$ARCH: there is a debug kernel for amd64 only" ;;
	stock-*)
		[ -z "${KVER:-}${KSRC:-}" ] ||
			die "KERNEL=stock takes no ${KVER:+KVER}${KSRC:+KSRC}: STOCK=RELEASE chooses a kernel of Debian's"
		;;
	esac
}
