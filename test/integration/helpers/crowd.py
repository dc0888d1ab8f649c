# SPDX-License-Identifier: LGPL-2.1-or-later
"""crowd.py FILE DIR: 900 callers open DIR/kept, which is FILE, whose lease is ours. On SIGUSR1 200 more write a
mebibyte each to files there."""
import fcntl
import mmap
import os
import signal
import sys
import time

name, mount = sys.argv[1], sys.argv[2]


def child(function):
    pid = os.fork()
    if pid == 0:
        function()
        os._exit(0)
    return pid


def write(number):
    file = os.open("%s/written.%d" % (mount, number), os.O_CREAT | os.O_RDWR, 0o644)
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os.write(file, data)
    os.write(ready[1], b"x")  # for the close waits behind the crowd


signal.signal(signal.SIGIO, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
data = mmap.mmap(-1, 1 << 20)
ready, go = os.pipe(), os.pipe()
writers = [child(lambda: write(i)) for i in range(200)]
for _ in writers:
    os.read(ready[0], 1)
file = os.open(name, os.O_CREAT | os.O_RDWR, 0o644)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)


def wait_for_lease():
    os.close(file)
    os.close(os.open(mount + "/kept", os.O_RDONLY))


for _ in range(900):
    child(wait_for_lease)
time.sleep(1)
print("waiting", flush=True)
signal.sigwait({signal.SIGUSR1})
os.write(go[1], b"x" * len(writers))
for _ in writers:
    os.read(ready[0], 1)
print("written", flush=True)
signal.pause()
