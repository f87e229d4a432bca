# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
cd /sys/kernel/debug/switch || exit
opens() { for _ in 1 2 3; do busybox cat /etc/hostname >/dev/null; done; }

opens
echo 0 >on
busybox cat on probe
grep -c busybox opens
echo >opens
opens
busybox cat opens.json
echo 1 >on
opens
grep -c busybox opens
{ echo x >on; } 2>/dev/null || echo "refused"
