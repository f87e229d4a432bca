# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
busybox cat /etc/hostname >/dev/null
# The file in debugfs has the histogram so far.
busybox grep -q '^\[.*[1-9] |@' /sys/kernel/debug/latency/ns
