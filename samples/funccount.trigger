# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
/usr/bin/python3 -c 'import os
for _ in range(30): os.getpriority(0, 0)
for _ in range(200): os.setpriority(0, 0, 0)'
