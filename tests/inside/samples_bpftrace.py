#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compares the counts of samples with bpftrace's for the same hits and keys. Prints KTAP."""
import json
import mmap
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import kmod
from arch import RISCV64
from kmod import check, equal

SHOWN = Path("/sys/kernel/debug")


@contextmanager
def bpftrace(program):
    """Runs a program during the block. Afterwards, the yielded list has its output."""
    with tempfile.NamedTemporaryFile("r+") as said:
        tracer = subprocess.Popen(["bpftrace", "-e", program], stdout=said,
                                  stderr=subprocess.STDOUT)
        kmod.until(lambda: "ttach" in Path(said.name).read_text(), "bpftrace", seconds=300)
        time.sleep(2)
        found = []
        yield found
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        found += Path(said.name).read_text().splitlines()


def rows(sample, name):
    return [json.loads(line) for line in (SHOWN / sample / f"{name}.json").read_text().splitlines()]


def in_child(comm, function):
    child = os.fork()
    if child == 0:
        Path("/proc/self/comm").write_text(comm)
        function()
        os._exit(0)
    equal(os.waitpid(child, 0)[1], 0)


def touch_pages():
    memory = mmap.mmap(-1, 300 * mmap.PAGESIZE)
    for page in range(300):
        memory[page * mmap.PAGESIZE] = 1


def test_page_faults_are_counted_as_by_bpftrace():
    program = 'kprobe:handle_mm_fault /comm == "faulter"/ { @ = count(); }'
    with bpftrace(program) as theirs, kmod.loaded("samples/page_faults.ko"):
        in_child("faulter", touch_pages)
        ours = [row["count"] for row in rows("page_faults", "faults")
                if row.get("key") == "faulter"]
    counted = re.search(r"^@: (\d+)$", "\n".join(theirs), re.MULTILINE)
    equal(ours, [int(counted[1])])
    check(ours[0] >= 300, ours)


def test_handshakes_are_counted_as_by_bpftrace():
    program = ("kprobe:tcp_v4_connect { @since[arg0] = nsecs; } "
               "kprobe:tcp_finish_connect /@since[arg0]/ "
               "{ @us = hist((nsecs - @since[arg0]) / 1000); delete(@since[arg0]); }")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with bpftrace(program) as theirs, kmod.loaded("samples/handshake.ko"):
        with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as connections:
            for _ in range(7):
                connections.enter_context(socket.create_connection(server.getsockname()))
        [ours] = rows("handshake", "us")
        equal(rows("handshake", "connecting"), [{"dropped": 0}])
    buckets = [re.match(r"\[.*?[\])] +(\d+) \|", line) for line in theirs]
    equal(sum(bucket["count"] for bucket in ours["buckets"]),
          sum(int(found[1]) for found in buckets if found))


def test_connections_are_logged_as_often_as_by_bpftrace():
    program = ("kprobe:inet_stream_connect { @connects = count(); } "
               "kretprobe:inet_csk_accept /retval/ { @accepts = count(); }")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with bpftrace(program) as theirs, kmod.loaded("samples/connections.ko") as log:
        with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as open_ones:
            ports = []
            for _ in range(5):
                client = socket.create_connection(server.getsockname())
                open_ones.enter_context(client)
                open_ones.enter_context(server.accept()[0])
                ports.append(client.getsockname()[1])
            at = server.getsockname()[1]
        lines = "\n".join(log.lines())
    to = re.findall(rf"connects from port (\d+) to 127\.0\.0\.1:{at}: Ok", lines)
    accepted = re.findall(rf"accepts at port {at} from 127\.0\.0\.1:(\d+)", lines)
    equal(([int(port) for port in to], [int(port) for port in accepted]), (ports, ports))
    equal(sorted(theirs[-2:]), [f"@accepts: {len(accepted)}", f"@connects: {len(to)}"])


def test_allocations_are_summed_by_stack_as_by_bpftrace():
    # The tracepoint's arguments: the call site, the address, the requested and the allocated bytes.
    program = 'rawtracepoint:kmalloc /comm == "allocator"/ { @[kstack] = sum(arg3); }'
    with bpftrace(program) as theirs, kmod.loaded("samples/allocation_stacks.ko"):
        in_child("allocator", lambda: [os.close(os.memfd_create("memory")) for _ in range(50)])
        ours = [row["count"] for row in rows("allocation_stacks", "bytes")
                if any("memfd_create+" in frame for frame in row.get("key", ()))]
    counted = 0
    for stack, number in re.findall(r"@\[\n(.*?)\]: (\d+)", "\n".join(theirs), re.DOTALL):
        frames = [line for line in stack.split("\n") if "__traceiter_" not in line]
        counted += int(number) * any("memfd_create+" in frame for frame in frames[:8])
    equal(sum(ours), counted)
    check(counted > 0, "nothing was allocated")


def test_a_call_stack_equals_that_of_bpftrace():
    program = 'kprobe:do_nanosleep /comm == "sleeper"/ { printf("%s\\n", kstack(17)); }'
    with bpftrace(program) as theirs, kmod.loaded("samples/call_stack.ko") as log:
        in_child("sleeper", lambda: time.sleep(0.01))
        ours = re.search("comm=sleeper sleeps: (.*)", "\n".join(log.lines()))[1].split(" <- ")
    frames = [re.match(r"\s*(\S+)\+(\d+)$", line) for line in theirs]
    frames = [f"{found[1]}+{int(found[2]):#x}" for found in frames if found]
    # bpftrace's stack begins with the probed function.
    check(frames[0].startswith("do_nanosleep+") and len(frames) > 3, frames)
    # On riscv64, it leaves out the caller, whose address is in a register at the entry.
    equal(ours[RISCV64:], frames[1:])


if __name__ == "__main__":
    if not shutil.which("bpftrace"):
        print("KTAP version 1\n1..1\nok 1 bpftrace: compared # SKIP no bpftrace in the guest")
        sys.exit()
    sys.exit(kmod.run("bpftrace", kmod.tests(globals()), sys.argv[1:]))
