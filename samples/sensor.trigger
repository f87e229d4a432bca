# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing
mkdir /tmp/place
mount -t tmpfs nodev /tmp/place
mkdir -p /tmp/place/work/folder /tmp/place/work/other
cd /tmp/place/work
echo >one
echo >three
cp /bin/true suspect
printf '#!%s -x\n' "$PWD/suspect" >script
chmod +x script
# An instance has its own buffer and filters.
instance=/sys/kernel/tracing/instances/sensor
mkdir "$instance"
echo 0 >"$instance/options/context-info"
echo 'comm == "suspect" || comm == "script"' >"$instance/events/sensor/filter"
echo 1 >"$instance/events/sensor/enable"
/usr/bin/python3 -c 'import os, socket
here = os.open("/tmp/place", os.O_RDONLY)
families = (socket.AF_INET, socket.AF_UNIX)
inet, local = (socket.socket(family, socket.SOCK_DGRAM) for family in families)
open("/proc/self/comm", "w").write("suspect")
os.rename("three", "four")
os.rename("work/one", "two\x1b[31m", src_dir_fd=here, dst_dir_fd=here)
os.unlink("two\x1b[31m", dir_fd=here)
os.rename("four", "f" * 70)
os.remove("/tmp/place/work/" + "f" * 70)
os.rmdir("folder")
os.rmdir("work/other", dir_fd=here)
for sock, address in (inet, ("127.0.0.1", 9)), (local, "/tmp/none"), (local, "\0none\0here"):
    try:
        sock.connect(address)
    except OSError:
        pass
for program in "/no/such", here:
    try:
        os.execve(program, ["nothing"], {})
    except OSError:
        pass
if os.fork() == 0:
    os.execve(os.open("suspect", os.O_RDONLY), ["true", "by its descriptor"], {})
os.wait()
if os.fork() == 0:
    os.execv("./script", ["a script", "its argument"])
os.wait()
os.setresuid(65534, 65534, 65534)
os.execv("/tmp/place/work/suspect",
         ["true", "an argument\nand a line", "--last", "", "5", "6", "7"])'
grep -v '^#' "$instance/trace"
rmdir "$instance"
