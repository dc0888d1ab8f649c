# SPDX-License-Identifier: LGPL-2.1-or-later
"""slow.py MOUNT DIRECT: what has to wait for a local disk, or for the end of a lease, waits, and does not fail."""
import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

from checks import check, child, finish

mount, direct = sys.argv[1], sys.argv[2]


def writers(count):
    """Each has its file open by the time that this returns, and writes to it at once."""
    def write(number, ready):
        file = os.open("%s/disk/file.%d" % (mount, number), os.O_RDWR | os.O_CREAT)
        os.write(ready, b"x")
        os.read(go[0], 1)
        os.ftruncate(file, 5)
    ready, go = os.pipe(), os.pipe()
    pids = [child(lambda: write(number, ready[1])) for number in range(count)]
    for _ in pids:
        os.read(ready[0], 1)
    return pids, lambda n: os.write(go[1], b"x" * n)


pids, go = writers(120)
subprocess.check_call(["fsfreeze", "-f", direct + "/disk"])
go(60)
time.sleep(1.5)
go(60)
time.sleep(0.5)
early = [os.waitpid(pid, os.WNOHANG) for pid in pids]
reader = child(lambda: os.close(os.open(mount + "/other", os.O_RDONLY)))
deadline = time.time() + 10
served = 0
while served == 0 and time.time() < deadline:
    served = os.waitpid(reader, os.WNOHANG)[0]
    time.sleep(0.01)
check("others are served beside 120 that wait for a frozen disk", served != 0)
check("nobody is told anything while it is frozen: %s" % {os.waitstatus_to_exitcode(s) for p, s in early if p},
      not any(p for p, _ in early))
subprocess.check_call(["fsfreeze", "-u", direct + "/disk"])
ends = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, (ended, _) in zip(pids, early) if not ended}
check("all of them succeed: %s" % ends, ends == {0})


# A holder of a lease, who gives it up some time after he is asked to.
def lease(kind, seconds):
    def hold():
        file = os.open(direct + "/leased", os.O_RDWR if kind == fcntl.F_WRLCK else os.O_RDONLY)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
        for attempt in range(1000):  # whoever had it open is done with it a moment after his close
            try:
                fcntl.fcntl(file, fcntl.F_SETLEASE, kind)
                break
            except BlockingIOError:
                time.sleep(0.01)
        os.write(ready[1], b"x")
        signal.sigwait({signal.SIGIO})
        time.sleep(seconds)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    pid = child(hold)
    os.read(ready[0], 1)
    return pid


class Alarm(Exception):
    pass


def on_alarm(number, frame):
    raise Alarm()


def error_of(flags):
    try:
        os.close(os.open(mount + "/leased", flags))
    except OSError as e:
        return e.errno
    return 0


ready = os.pipe()
signal.signal(signal.SIGALRM, on_alarm)
open(direct + "/leased", "w").write("x")
for kind, flags, what in ((fcntl.F_WRLCK, os.O_RDONLY, "reading"), (fcntl.F_RDLCK, os.O_WRONLY, "writing")):
    holder = lease(kind, 0.5)
    error = error_of(flags)
    check("an open for %s waits for the end of a lease: %s" % (what, errno.errorcode.get(error)), error == 0)
    os.waitpid(holder, 0)
holder = lease(fcntl.F_WRLCK, 20)
check("with O_NONBLOCK it fails at once", error_of(os.O_RDONLY | os.O_NONBLOCK) == errno.EAGAIN)
signal.setitimer(signal.ITIMER_REAL, 0.3)
started = time.time()
try:
    error_of(os.O_RDONLY)
except Alarm:
    pass
check("a signal interrupts it", time.time() - started < 5)
waiter = child(lambda: error_of(os.O_RDONLY))
time.sleep(0.2)
os.kill(waiter, signal.SIGKILL)
started = time.time()
os.waitpid(waiter, 0)
check("whoever waits can be killed", time.time() - started < 2)
os.kill(holder, signal.SIGKILL)
os.waitpid(holder, 0)
check("and it is open to all once the holder is gone", error_of(os.O_RDONLY) == 0)
finish()
