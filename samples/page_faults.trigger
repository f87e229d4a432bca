# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
/usr/bin/python3 -c 'import mmap
open("/proc/self/comm", "w").write("faulter")
memory = mmap.mmap(-1, 1000 * 4096)
memory.madvise(mmap.MADV_NOHUGEPAGE) if hasattr(mmap, "MADV_NOHUGEPAGE") else None
for page in range(1000): memory[page * 4096] = 1'
busybox grep -q '^\[faulter\]: 1[0-9][0-9][0-9]$' /sys/kernel/debug/page_faults/faults
