# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
for _ in 1 2 3; do sleep 0.05; done
