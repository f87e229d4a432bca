#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Calls for samples_sensor.py, which checks their events.

usage: samples_calls.py WHAT [ARGUMENT...]
"""
import ctypes
import json
import mmap
import os
import shutil
import socket
import struct
import sys

from arch import LIBC, int80

INET = struct.pack("=H", 2) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8)
LIBC.mmap.restype = ctypes.c_void_p


def which(path):
    found = os.stat(path)
    return [os.major(found.st_dev), os.minor(found.st_dev), found.st_ino]


def child(*steps):
    if os.fork() == 0:
        try:
            for step in steps:
                step()
        finally:
            os._exit(1)
    os.wait()


def connects(sock, data, length=None):
    LIBC.connect(sock.fileno(), data, len(data) if length is None else length)


def named(name):
    with open("/proc/self/comm", "wb") as comm:
        comm.write(name)


def work():
    """Makes calls that the sample sensor records. Prints the files of its folder and program."""
    os.mkdir("work")
    os.chdir("work")
    here = os.open(".", os.O_RDONLY)
    for n in range(3):
        open(f"old {n}", "w").close()
        os.mkdir(f"folder{n}")
    deep, lengthy = "/".join("d" * 20), "/".join("abc"[n] * 99 for n in range(3))
    for path in deep, lengthy:
        os.makedirs(path)
    shutil.copy("/bin/true", "suspect")
    with open("script", "w", encoding="ascii") as script:
        script.write("#!./suspect  one argument")
    os.chmod("script", 0o755)
    true = os.open("suspect", os.O_RDONLY)
    sock, local = socket.socket(), socket.socket(socket.AF_UNIX)
    named(b"suspect")
    os.rename("old 0", "new0")
    os.rename("old 1", "new1", src_dir_fd=here, dst_dir_fd=here)
    LIBC.renameat2(here, b"old 2", here, b"n" * 100, 1)
    os.rename("folder0", "folder3")
    LIBC.rename(b"none", b"none either")
    LIBC.renameat(99, b"no", here, b"folder")
    os.unlink("new0")
    os.unlink("new1", dir_fd=here)
    os.unlink("n" * 100)
    os.rmdir("folder1")
    os.rmdir("folder2", dir_fd=here)
    LIBC.unlinkat(here, b"folder3", 0x200)
    LIBC.unlink(b"nothing")
    LIBC.unlink(b"/nothing")
    child(lambda: os.chdir(deep), lambda: LIBC.unlink(b"nothing"))
    child(lambda: os.chdir(lengthy), lambda: LIBC.unlink(b"nothing"))
    child(lambda: os.chroot("d"), lambda: LIBC.unlink(b"/nothing"))
    LIBC.unlink(b"p" * 300)
    connects(sock, INET)
    connects(sock, struct.pack("=H", 10) + struct.pack(">HI", 443, 0) + bytes(15) + b"\1\0\0\0\0")
    for name in b"/no/such\0", b"\0hidden", b"x" * 108, b"":
        connects(local, struct.pack("=H", 1) + name)
    connects(sock, struct.pack("=H", 0) + bytes(14))
    connects(sock, struct.pack("=H", 2) + b"zzz")
    connects(sock, b"", 0)
    child(lambda: os.setgroups([5]), lambda: os.setresgid(1, 2, 3), lambda: os.setresuid(4, 5, 6))
    child(lambda: LIBC.setfsuid(7), lambda: os.setegid(8), lambda: os.seteuid(9))
    child(lambda: os.execv("suspect", ["true"]))
    child(lambda: os.execv("./suspect", ["true", "", "three words here"]))
    child(lambda: os.execv("/no/such", list("abcdef")))
    child(lambda: os.execve(here, ["nothing"], {}))
    child(lambda: os.execv("p" * 1000, ["nothing"]))
    child(lambda: os.execve(true, list("abcdefgh"), {}))
    child(lambda: os.execv("./script", ["zero", "one"]))
    named(b"done")
    print(json.dumps({"descriptor": true, "directory": here, "work": which("."),
                      "root": which("/"), "d": which("d"), "suspect": which("suspect")}))


def cold(data):
    """The address of a copy in a page that the kernel has to fault in."""
    fd = os.memfd_create("cold")
    os.write(fd, data)
    page = LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE, fd, ctypes.c_long(0))
    os.close(fd)
    return ctypes.c_void_p(page)


def argv(*words):
    return (ctypes.c_char_p * (len(words) + 1))(*words)


def executes(path, words):
    child(lambda: LIBC.execve(path, words, None))


def cold_exec(program):
    warm = ctypes.create_string_buffer(b"warm")
    words = (ctypes.c_void_p * 4)(cold(program.encode()), cold(b"cold argument"),
                                  ctypes.addressof(warm))
    LIBC.execve(cold(program.encode()), cold(bytes(words)), None)


def cold_remove():
    LIBC.unlink(cold(b"/cold/name"))
    LIBC.rmdir(cold(b"/cold/folder"))
    LIBC.rename(cold(b"/cold/old"), cold(b"/cold/new"))
    # The kernel refuses these names.
    LIBC.unlink(b"")
    LIBC.unlink(ctypes.c_void_p(8))


def argvs(program):
    program = program.encode()
    empty, bad = argv(program, b"", b"after", b""), argv(program, b"", b"after")
    ctypes.cast(bad, ctypes.POINTER(ctypes.c_void_p))[1] = 8
    lengthy = (64 * 1024 - 1) * b"x"
    for words in (None, argv(), empty, argv(*(b"%d" % n for n in range(6))),
                  argv(*(b"%d" % n for n in range(7))), argv(lengthy, b"after"), bad):
        executes(program, words)
    executes(b"", empty)
    executes(ctypes.c_void_p(8), empty)


def by_int80(program):
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40  # MAP_32BIT
    low = LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1,
                    ctypes.c_long(0))

    def put(offset, data):
        ctypes.memmove(low + offset, data, len(data))
        return low + offset

    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        name, inet, path = put(0, b"by-int80"), put(256, INET), put(512, program.encode())
        call = int80()
        call(10, name, 0, 0)  # unlink
        call(38, name, name, 0)  # rename
        call(362, sock.fileno(), inet, len(INET))  # connect
        args = put(1280, struct.pack("=3I", sock.fileno(), inet, len(INET)))
        call(102, 3, args, 0)  # socketcall: connect
        call(11, path, put(1024, struct.pack("=3I", name, name, 0)), 0)  # execve


def by_ring(opcode, fd, address, length=0, offset=0):
    """Makes one request by io_uring."""
    params = (ctypes.c_uint32 * 30)()
    ring = LIBC.syscall(425, 1, params)
    tail, array = params[11], params[16]
    rights, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | 0x8000  # MAP_POPULATE
    queue = LIBC.mmap(None, array + 4, rights, flags, ring, ctypes.c_long(0))
    entry = LIBC.mmap(None, 64, rights, flags, ring, ctypes.c_long(0x10000000))
    packed = struct.pack("=BBHiQQII", opcode, 0, 0, fd, offset, address, length, 0)
    ctypes.memmove(entry, packed, len(packed))
    ctypes.c_uint32.from_address(queue + array).value = 0
    ctypes.c_uint32.from_address(queue + tail).value = 1
    LIBC.syscall(426, ring, 1, 1, 1, None, 0)
    os.close(ring)


def by_io_uring():
    inet, buffer = ctypes.create_string_buffer(INET), ctypes.create_string_buffer(b"by-io_uring")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        by_ring(16, sock.fileno(), ctypes.addressof(inet), offset=len(INET))  # CONNECT
    name = ctypes.addressof(buffer)
    by_ring(36, -100, name)  # UNLINKAT
    by_ring(35, -100, name, 2**32 - 100, name)  # RENAMEAT


CALLS = {
    "work": work, "exec": cold_exec, "remove": cold_remove, "argvs": argvs,
    "int80": by_int80, "io_uring": by_io_uring,
    "exec-fails": lambda: LIBC.execve(cold(b"/cold/name"), argv(b"/cold/name"), None),
    "connect": lambda: connects(socket.socket(type=socket.SOCK_DGRAM), cold(INET), len(INET)),
}

if __name__ == "__main__":
    named(b"callers")
    CALLS[sys.argv[1]](*sys.argv[2:])
