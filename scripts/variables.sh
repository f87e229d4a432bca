# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Refuses values of the user's variables that mean nothing, before anything is begun.
# lib.sh sources it.

# series_known: the series of scripts/kernels, newest first.
# shellcheck disable=SC2154  # lib.sh sets root
series_known() { awk '!/^#/ {print $1}' "$root/scripts/kernels" | xargs; }

# Variable, pattern, and what it should be.
while read -r name pattern words; do
	[[ -z ${!name:-} || ${!name} =~ ^($pattern)$ ]] || die "$name=${!name}: $words"
done <<'EOF'
ARCH amd64|x86_64|arm64|aarch64 it is one of: amd64 arm64
KERNEL stock|workbench|debug it is one of: stock workbench debug
ACCEL auto|kvm|tcg it is one of: auto kvm tcg
ICOUNT [01] it is 0 or 1
CPUS [1-9]|[1-5][0-9]|6[0-4] it is a number from 1 to 64
LIMIT [1-9][0-9]{0,4} it is a number from 1 to 99999
MINUTES [1-9][0-9]{0,3} it is a number from 1 to 9999
RUNS [1-9][0-9]{0,8} it is a number from 1 to 999999999
MEMORY [1-9][0-9]*G|[1-9][0-9]{3,}M|2[6-9][0-9]M|25[6-9]M|[3-9][0-9]{2}M it is 256M or more, as 1G
STOCK [0-9]+\.[0-9.]+\+deb[0-9]+.*(amd64|arm64).* a release of Debian's is like 7.2.12+deb13-amd64
KDIR [^[:space:]]* the kernel's make takes no folder with a space in its name
EOF
[ -z "${KDIR:-}" ] || [ -d "$KDIR" ] || die "KDIR=$KDIR: no such folder"
[ -z "${KSRC:-}" ] || [ -e "$KSRC/rust/Makefile" ] ||
	die "KSRC=$KSRC: not a kernel source tree with Rust"
# A series newer than the table may do.
[ -z "${KVER:-}" ] || [[ " $(series_known) " == *" $KVER "* ]] ||
	{ [[ $KVER =~ ^[0-9]+\.[0-9]+$ ]] &&
		version_le "$(series_known | cut -d' ' -f1)" "$KVER"; } ||
	die "KVER=$KVER: not a supported kernel; scripts/kernels has: $(series_known)"
case ${KERNEL:-}-${ARCH:-} in
debug-a[ar]*64) die "KERNEL=debug ARCH=$ARCH: there is a debug kernel for amd64 only" ;;
stock-*)
	[ -z "${KVER:-}${KSRC:-}" ] || die "KERNEL=stock takes no ${KVER:+KVER}${KSRC:+KSRC}:" \
		"STOCK=RELEASE chooses a kernel of Debian's"
	;;
esac
