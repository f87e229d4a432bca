# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
/usr/bin/python3 -c 'import mmap
open("/proc/self/comm", "w").write("faulter")
memory = mmap.mmap(-1, 1000 * 4096)
for page in range(1000): memory[page * 4096] = 1'
busybox grep -q '^\[faulter\]: [0-9][0-9][0-9][0-9]$' /sys/kernel/debug/page_faults/faults
