# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
send() { ./xdp_drop_half send xdp0 1000; }

# With IPv6, the kernel would send packets through a new link.
ipv6=/proc/sys/net/ipv6/conf/default/disable_ipv6
[ ! -e $ipv6 ] || echo 1 >$ipv6
ip link add xdp0 type veth peer name xdp1
ip link set xdp0 up
ip link set xdp1 up
mount -t bpf bpf /sys/fs/bpf 2>/dev/null || :
./xdp_drop_half load /sys/fs/bpf/drop_half
ip link set dev xdp1 xdpgeneric pinned /sys/fs/bpf/drop_half

# The program drops 1000 of 2000 packets, after a warm-up.
send >/dev/null
both=$(send)
rmmod xdp_verdicts
dropped=$(send)
ip link set dev xdp1 xdpgeneric off
plain=$(send)
insmod xdp_verdicts.ko
observed=$(send)

echo "cost of a packet in ns: $plain, half of them dropped in XDP: $dropped," \
	"observed by a kprobe: $observed, both and a kretprobe: $both"
ip link del xdp0
