# SPDX-License-Identifier: GPL-2.0
"""What tests/stress/stress_late.ko holds: a module that is loaded or unloaded, or a CPU that
goes offline."""
import os
import threading
import time
from contextlib import contextmanager

import kmod


@contextmanager
def held_late(change):
    """Runs `change`, which stress_late holds until the end."""
    held = "/sys/module/stress_late/parameters/held"
    changing = threading.Thread(target=change)
    changing.start()
    try:
        while open(held, encoding="ascii").read() != "Y\n":
            time.sleep(0.01)
        yield
    finally:
        with open(held, "w", encoding="ascii") as file:
            file.write("N")
        changing.join()


@contextmanager
def loaded(module, params=b""):
    kmod.insmod(f"tests/stress/{module}.ko", params)
    try:
        yield
    finally:
        if kmod.is_loaded(module):
            kmod.rmmod(module)


@contextmanager
def cpu_held_offline():
    """Takes the last CPU offline, where stress_late, loaded with offline=1, holds it until the
    end. Then it is online again."""
    cpu = os.cpu_count() - 1

    def switch(on):
        with open(f"/sys/devices/system/cpu/cpu{cpu}/online", "w", encoding="ascii") as file:
            file.write(str(on))

    try:
        with held_late(lambda: switch(0)):
            yield
    finally:
        switch(1)
