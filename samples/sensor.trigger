# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
cd /tmp
echo >one
/usr/bin/python3 -c 'import os
open("/proc/self/comm", "w").write("suspect")
here = os.open("/tmp", os.O_RDONLY)
os.rename("one", "two\x1b[31m", src_dir_fd=here, dst_dir_fd=here)
os.unlink("two\x1b[31m", dir_fd=here)
os.setresuid(65534, 65534, 65534)
os.execv("/bin/true", ["true", "an argument\nand a line", "--last", "", "5", "6", "7"])'
