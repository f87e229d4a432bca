# SPDX-License-Identifier: GPL-2.0
"""How long the stress takes, as its command line says."""
import sys

ROUNDS, SECONDS, EVERY = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
