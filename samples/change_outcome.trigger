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
