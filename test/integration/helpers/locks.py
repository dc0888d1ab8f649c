# SPDX-License-Identifier: LGPL-2.1-or-later
"""locks.py MOUNT DIRECT OTHER: locks through the mount exclude the peer's own processes, and the other way round. OTHER
is another container's folder, through the mount."""
import errno
import fcntl
import os
import signal
import struct
import sys
import threading
import time

from checks import check, child, finish

mount, direct, another = sys.argv[1:4]


def succeeds(function):
    return os.waitpid(child(function), 0)[1] == 0


def refused(function):
    try:
        function()
    except OSError as e:
        return e.errno in (11, 13)
    return False


def direct_file():
    return open(direct + "/file", "r+")


def holder(lock):
    """A process of the peer that has the lock until release()."""
    def hold():
        file = direct_file()
        lock(file, fcntl.LOCK_EX)
        os.write(held[1], b"x")
        os.read(enough[0], 1)
    pid = child(hold)
    os.read(held[0], 1)
    return pid


def release():
    os.write(enough[1], b"x")


def release_soon():
    time.sleep(0.3)
    release()


class Alarm(Exception):
    pass


def on_alarm(number, frame):
    global armed
    if armed:
        armed = False
        raise Alarm()


def interrupted(seconds):
    """Whether a signal after so many seconds ends flock(2) at once. One that comes before the system call begins ends
    nothing, so there is a second one. What peerfs misses, that one cannot make good: the kernel tells FUSE of the first
    signal alone."""
    global armed
    armed = True
    started = time.time()
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_UN)
        return False
    except Alarm:
        return time.time() - started < 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


armed = False
held = os.pipe()
enough = os.pipe()
signal.signal(signal.SIGALRM, on_alarm)
open(direct + "/file", "w").write("x" * 100)
file = open(mount + "/file", "r+")

pid = holder(fcntl.lockf)
check("a POSIX lock of the peer excludes", refused(lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)))
answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
check("and F_GETLK tells whose it is", struct.unpack("hhqqi4x", answer)[4] == pid)
releaser = child(release_soon)
fcntl.lockf(file, fcntl.LOCK_EX)
check("it can be waited for", os.waitpid(releaser, 0)[1] == 0 and os.waitpid(pid, 0)[1] == 0)
fcntl.lockf(file, fcntl.LOCK_UN)

pid = holder(fcntl.flock)
check("a flock of the peer excludes", refused(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)))
check("a signal interrupts", interrupted(0.3))
check("at whatever moment it comes, 300 times", all([interrupted(0.0001 + i % 30 * 0.00002) for i in range(300)]))
waiter = child(lambda: fcntl.flock(open(mount + "/file"), fcntl.LOCK_EX))
time.sleep(0.3)
os.kill(waiter, signal.SIGKILL)
started = time.time()
os.waitpid(waiter, 0)
check("one that waits can be killed", time.time() - started < 2)
waiters = [child(lambda: fcntl.flock(open(mount + "/file"), fcntl.LOCK_SH)) for _ in range(60)]
time.sleep(0.5)
started = time.time()
open(mount + "/other", "w").write("y")
check("others are served beside 60 that wait", time.time() - started < 2)
release()
os.waitpid(pid, 0)
check("and all of them get it", all([os.waitpid(w, 0)[1] == 0 for w in waiters]))


# One container's callers wait for as many locks as they may, until they are killed: another container's still can.
def crowd():
    def wait():
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as e:
            os.write(held[1], b"%c" % e.errno)
    threading.stack_size(1 << 16)
    for _ in range(1100):
        threading.Thread(target=wait).start()
    signal.pause()


pid = holder(fcntl.flock)
many = child(crowd)
check("one too many is told so", os.read(held[0], 1)[0] == errno.ENOLCK)
mine = open(another + "/file", "w")
fcntl.flock(mine, fcntl.LOCK_EX)
waiter = child(lambda: fcntl.flock(open(another + "/file"), fcntl.LOCK_EX))
time.sleep(0.3)
fcntl.flock(mine, fcntl.LOCK_UN)
check("another container's callers may wait beside a crowd", os.waitstatus_to_exitcode(os.waitpid(waiter, 0)[1]) == 0)
os.kill(many, signal.SIGKILL)
os.waitpid(many, 0)
release()
os.waitpid(pid, 0)
held = os.pipe()


def taken_after_close():
    for _ in range(1000):
        one = os.open(mount + "/other", os.O_RDWR)
        fcntl.flock(one, fcntl.LOCK_EX)
        two = os.open(mount + "/other", os.O_RDWR)
        os.close(one)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(two)


check("whoever comes after a close gets the flock at once, 1,000 times", succeeds(taken_after_close))


def try_direct():
    fcntl.lockf(direct_file(), fcntl.LOCK_EX | fcntl.LOCK_NB)


other = open(mount + "/file", "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
check("the mount's lock excludes the peer", not succeeds(try_direct))
other.close()
check("any close of the process ends it", succeeds(try_direct))


# Two processes, each with a byte that the other one wants.
def lock(file, kind, start, wait=True):
    fcntl.fcntl(file, fcntl.F_SETLKW if wait else fcntl.F_SETLK, struct.pack("hhqqi4x", kind, 0, start, 1, 0))


def conflict(file, start, length):
    answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, start, length, 0))
    return struct.unpack("hhqqi4x", answer)


def crossed(mine, other, ready, go):
    def run():
        file = open(mount + "/file", "r+")
        lock(file, fcntl.F_WRLCK, mine)
        os.write(ready, b"x")
        os.read(go, 1)
        lock(file, fcntl.F_WRLCK, other)
    return child(run)


ready, go = os.pipe(), os.pipe()
pair = [crossed(60, 61, ready[1], go[0]), crossed(61, 60, ready[1], go[0])]
os.read(ready[0], 1), os.read(ready[0], 1)
os.write(go[1], b"xx")
armed = True
signal.setitimer(signal.ITIMER_REAL, 5)
try:
    ends = sorted(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pair)
except Alarm:
    ends = "for ever"
    for p in pair:
        os.kill(p, signal.SIGKILL)
signal.setitimer(signal.ITIMER_REAL, 0)
check("one of two who wait for each other is told so: %s" % (ends,), ends == [0, 35])


def keep(kind, starts, then=()):
    def run():
        file = open(mount + "/file", "r+")
        for start in starts:
            lock(file, kind, start)
        for start in then:
            lock(file, fcntl.F_UNLCK, start)
        os.write(ready[1], b"x")
        time.sleep(30)
    pid = child(run)
    os.read(ready[0], 1)
    return pid


one, two = keep(fcntl.F_WRLCK, [70, 72], [72]), keep(fcntl.F_RDLCK, [80, 81])
found = [conflict(file, 70, 1), conflict(file, 80, 1), conflict(file, 72, 1)]
check("F_GETLK names the holder after an unlock of a part", found[0][4] == one)
check("and of several the one of that range: %s" % (found,), found[1][4] == two and found[1][0] == fcntl.F_RDLCK)
check("and nobody where nothing is locked any more", found[2][0] == fcntl.F_UNLCK)
check("it tells the range", found[1][2:4] == (80, 2))
for p in one, two:
    os.kill(p, signal.SIGKILL)
    os.waitpid(p, 0)
lock(file, fcntl.F_WRLCK, 70, False)
check("the end of a process ends its locks", True)
finish()
