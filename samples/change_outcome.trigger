# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
call='import os, sys
open("/proc/self/comm", "w").write(sys.argv[1])
try:
    os.getpriority(0, 0)
except PermissionError:
    sys.exit(1)'
/usr/bin/python3 -c "$call" bystander
! /usr/bin/python3 -c "$call" victim
# A call by a 32-bit program, if the kernel supports these.
call='import arch, sys
open("/proc/self/comm", "w").write("victim")
sys.exit(not arch.takes_32_bits() or arch.int80()(96, 0, 0, 0) == -1)'
! PYTHONPATH=../tests/inside /usr/bin/python3 -c "$call"
