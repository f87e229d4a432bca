# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
bash -c 'exit 41' || :
bash -c 'exit 42' || :
bash -c 'exit 43' || :
# Another comm for the threads: equal lines in a row would count as one.
/usr/bin/python3 -c 'import os, threading, time
def thread():
    open("/proc/thread-self/comm", "w").write("thread")
    ready.wait()
    time.sleep(60)
ready = threading.Barrier(4)
for n in range(3):
    threading.Thread(target=thread, daemon=True).start()
ready.wait()
os._exit(42)' || :
