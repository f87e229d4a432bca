# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
bash -c 'exit 41' || :
bash -c 'exit 42' || :
bash -c 'exit 43' || :
