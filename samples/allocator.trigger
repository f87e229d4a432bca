# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A vector of 1024 pieces is 16384 bytes in the kernel.
/usr/bin/python3 -c 'import os
os.writev(os.open("/dev/null", os.O_WRONLY), [b"x"] * 1024)'
