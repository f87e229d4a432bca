# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
sleep 0.1
