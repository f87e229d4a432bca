# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
/usr/bin/python3 -c 'import os
for _ in range(200): os.close(os.memfd_create("allocation"))'
