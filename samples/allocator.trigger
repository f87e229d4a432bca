# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The kernel copies the 1024 iovecs into an array of 16384 bytes.
/usr/bin/python3 -c 'import os
os.writev(os.open("/dev/null", os.O_WRONLY), [b"x"] * 1024)'
