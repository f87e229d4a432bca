# SPDX-License-Identifier: GPL-2.0
"""Probes on every function of the kernel, and return probes on every symbol."""
import bisect
import hashlib
import struct
import subprocess
import time

import arch
from device import FOLLOWED, HITS, SET, Device, refused_member
from kmod import TRACING, Skip, Threads, check, equal, errno_name, kprobe_list, read
from stress_form import EVERY

PAGE = 4096


def workload():
    """An ordinary workload: processes, files, pipes, sockets, memory."""
    subprocess.run(
        ["/bin/bash", "-c",
         "cat /proc/self/maps /proc/meminfo /proc/interrupts >/dev/null; ls -lR /sys/kernel "
         ">/dev/null; head -c 300000 /dev/urandom | gzip | gunzip | wc -c >/dev/null; "
         "echo x >/tmp/stress.$$; mv /tmp/stress.$$ /tmp/stress; rm /tmp/stress; "
         "ip link add s0 type veth peer name s1 2>/dev/null; ip link set s0 up; "
         "ip link del s0; sleep 0.05"],
        check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def functions():
    lines = [line.split() for line in read(TRACING / "available_filter_functions").splitlines()]
    # MODULE:FUNCTION for modules.
    return [f"{l[1].strip('[]')}:{l[0]}" if len(l) > 1 else l[0] for l in lines]


def text_symbols():
    """(address, name) of the symbols in the kernel's text, in order."""
    lines = [line.split() for line in read("/proc/kallsyms").splitlines()]
    # kallsyms may list _etext as a symbol of the next section.
    return sorted((int(line[0], 16), line[2]) for line in lines
                  if line[1] in "tT" or line[2] == "_etext")


def text_pages():
    """{address: digest} of each page of the kernel's text, from /proc/kcore."""
    at = {name: address for address, name in text_symbols()}
    start, end = at["_stext"], at["_etext"]
    with open("/proc/kcore", "rb") as kcore:
        header = kcore.read(64)
        kcore.seek(*struct.unpack_from("<Q", header, 32))
        size, count = struct.unpack_from("<HH", header, 54)
        segments = [struct.unpack_from("<IIQQQQ", kcore.read(size)) for _ in range(count)]
        found = [offset + start - address for kind, _, offset, address, _, length in segments
                 if kind == 1 and address <= start and end <= address + length]
        check(found, "/proc/kcore does not show the kernel's text")
        kcore.seek(found[0])
        pages = {page: kcore.read(min(PAGE, end - page)) for page in range(start, end, PAGE)}
    # Only the padding at the end of the text is blank.
    blank = [page for page, data in pages.items() if not any(data)]
    check(not blank or end - blank[0] <= 1 << 16 and blank == list(range(blank[0], end, PAGE)),
          f"/proc/kcore shows nothing at {blank[:1]}")
    return {page: hashlib.sha256(data).digest() for page, data in pages.items() if any(data)}


def text_changed(before):
    now, symbols = text_pages(), text_symbols()
    at = [page for page in before if now.get(page) != before[page]]
    return [symbols[bisect.bisect_right(symbols, (page, "~")) - 1][1] for page in at]


def summary(refused):
    for name, which in refused.items():
        print(f"# {name}: {len(which)}, as {', '.join(which[:5])}")
    return ", ".join(f"{len(which)} {name}" for name, which in refused.items()) or "none"


def attached(device, batch, refused):
    """Registers a set of the functions in `batch`, without those that are refused."""
    while batch:
        try:
            return device.add(SET, *batch)
        except OSError as error:
            name = batch.pop(refused_member())
            refused.setdefault(errno_name(error), []).append(name)
    return None


def test_entry_probes_attach_to_every_function_of_the_kernel():
    every = list(dict.fromkeys(functions()))[::EVERY]
    refused = {}
    hits = probed = 0
    with Threads() as working, Device() as device:
        working.start(workload)
        time.sleep(3)  # The workload makes the kernel patch static keys first.
        before = text_pages()
        for at in range(0, len(every), 500):
            batch = every[at:at + 500]
            held = attached(device, batch, refused)
            if held:
                time.sleep(0.3)
                probed += len(batch)
                hits += held.ask(HITS)
                held.drop()
            print(f"# {min(at + 500, len(every))} of {len(every)}", flush=True)
    equal(kprobe_list(), [])
    equal(text_changed(before), [], "the kernel's text has changed at")
    equal(probed + sum(map(len, refused.values())), len(every))
    check(hits, "nothing was hit")
    return (f"{probed} of {len(every)} attached, refused: {summary(refused)}; {hits} hits; "
            f"text as before, {len(before)} pages")


MARKED = r"""
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A system call between marks in all registers that it has to keep; 0 if it does. */
static long marked(long nr, long a, long b)
{
	long bad;

	asm volatile(
		"push %%rbp; push %%rbx; mov %[nr], %%rax\n"
		"mov $0x1111, %%rbx; mov $0x2222, %%rbp; mov $0x3333, %%r12\n"
		"mov $0x4444, %%r13; mov $0x5555, %%r14; mov $0x6666, %%r15\n"
		"mov $0x7777, %%r8; mov $0x8888, %%r9; mov $0x9999, %%r10; xor %%edx, %%edx\n"
		"syscall\n"
		"sub $0x1111, %%rbx; sub $0x2222, %%rbp; sub $0x3333, %%r12\n"
		"sub $0x4444, %%r13; sub $0x5555, %%r14; sub $0x6666, %%r15\n"
		"sub $0x7777, %%r8; sub $0x8888, %%r9; sub $0x9999, %%r10\n"
		"or %%rbx, %%rbp; or %%r12, %%rbp; or %%r13, %%rbp; or %%r14, %%rbp\n"
		"or %%r15, %%rbp; or %%r8, %%rbp; or %%r9, %%rbp; or %%r10, %%rbp\n"
		"or %%rdx, %%rbp; mov %%rbp, %%rcx; pop %%rbx; pop %%rbp\n"
		: "=&c"(bad), "+D"(a), "+S"(b)
		: [nr] "r"(nr)
		: "rax", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "memory", "cc");
	return bad;
}

int main(int argc, char **argv)
{
	struct { long s, ns; } moment = { 0, 1000 };
	pid_t me = getpid();

	for (int n = atoi(argv[1]); n; n--) {
		int status;
		char *page = mmap(0, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		page[0] = 1;
		munmap(page, 4096);
		/* getpid, sched_yield, nanosleep; and fork, whose child compares as well. */
		if (marked(39, 0, 0) || marked(24, 0, 0) || marked(35, (long)&moment, 0))
			return 1;
		if (marked(57, 0, 0))
			_exit(2);
		if (getpid() != me)
			_exit(7);
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			return 3;
	}
	return 0;
}
"""

# Places that accept a kretprobe in C, and must not.
NO_FUNCTIONS = ("ret_from_fork_asm", "__switch_to_asm")

def test_return_probes_are_registered_on_every_symbol_or_refused():
    """Only functions accept one, and programs keep their registers."""
    if not arch.X86_64:
        raise Skip("the test program is for x86-64 only")
    binary = "/tmp/stress-marked"
    subprocess.run(["gcc", "-O1", "-mno-red-zone", "-w", "-x", "c", "-", "-o", binary],
                   input=MARKED, text=True, check=True)
    lines = [line.split() for line in read("/proc/kallsyms").splitlines()]
    symbols = list(dict.fromkeys(l[2] for l in lines if len(l) == 3 and l[1] in "tTwW"))
    cold = [s for s in symbols if s.endswith(".cold")][:20]
    never = [s for s in (*NO_FUNCTIONS, *cold) if s in symbols]
    wanted = never + [s for s in symbols[::EVERY] if s not in never]
    # Compare addresses: ftrace lists only one of several names of a function.
    address = arch.symbols()
    known = {address.get(name.split(":")[-1]) for name in functions()}
    refused, taken = {}, []

    def compare(names):
        run = subprocess.run([binary, "20"], check=False)
        equal(run.returncode, 0, f"a marked register, with return probes on {' '.join(names)}")

    for at in range(0, len(wanted), 100):
        batch = []
        with Device() as device:
            for name in wanted[at:at + 100]:
                try:
                    device.add(FOLLOWED, name, max_active=64)
                    batch.append(name)
                except OSError as error:
                    refused.setdefault(errno_name(error), []).append(name)
            compare(batch)
        taken += batch
        if EVERY == 1:
            print(f"# {at + 100} of {len(wanted)}", flush=True)
    compare([])
    equal([s for s in taken if address[s] not in known], [], "taken, and not in ftrace's list")
    equal([s for s in never if s not in refused["EINVAL"]], [], "not refused")
    equal(kprobe_list(), [])
    return (f"{len(taken)} of {len(wanted)} taken, refused: {summary(refused)}; "
            "registers as they were")
