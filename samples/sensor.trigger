# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
samples=$PWD
cd /tmp
echo >one
echo >three
mkdir -p folder other
cp /bin/true suspect
[ -d /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing
"$samples/sensor_live" -f 'comm == "suspect"' >live &
live=$!
until grep -q listening live; do sleep 0.1; done
/usr/bin/python3 -c 'import os, socket, time
def suspect():
    open("/proc/self/comm", "w").write("suspect")
    # A record is printed with the name that the kernel has saved for its task. It saves it
    # when the task goes to sleep after a record of its own.
    while f"{os.getpid()} suspect\n" not in open("/sys/kernel/tracing/saved_cmdlines"):
        try:
            os.unlink("nothing")
        except OSError:
            time.sleep(0.01)
here = os.open("/tmp", os.O_RDONLY)
inet, local = (socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_UNIX))
suspect()
os.rename("three", "four")
os.rename("one", "two\x1b[31m", src_dir_fd=here, dst_dir_fd=here)
os.unlink("two\x1b[31m", dir_fd=here)
os.rename("four", "f" * 70)
os.remove("f" * 70)
os.rmdir("folder")
os.rmdir("other", dir_fd=here)
for sock, address in (inet, ("127.0.0.1", 9)), (local, "/tmp/none"), (local, "\0none"):
    try:
        sock.connect(address)
    except OSError:
        pass
if os.fork() == 0:
    # The empty path may be on a page of the C library that has not been read yet.
    open("/proc/self/comm", "w").write("child")
    try:
        os.execve(here, ["nothing"], {})
    except OSError:
        suspect()
    os.execve(os.open("suspect", os.O_RDONLY), ["true", "by its descriptor"], {})
os.wait()
os.setresuid(65534, 65534, 65534)
os.execv("/tmp/suspect", ["true", "an argument\nand a line", "--last", "", "5", "6", "7"])'
kill "$live"
wait "$live"
cat live
