# SPDX-License-Identifier: GPL-2.0
"""The form of the stress tests, from the command line."""
import sys

ROUNDS, SECONDS, EVERY = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
