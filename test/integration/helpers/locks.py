# SPDX-License-Identifier: LGPL-2.1-or-later
"""locks.py MOUNT DIRECT: locks through the mount exclude the peer's own processes, and the other way round."""
import fcntl
import os
import signal
import struct
import sys
import time

mount, direct = sys.argv[1], sys.argv[2]
fine = True


def check(what, holds):
    global fine
    print(("ok - " if holds else "NOT OK - ") + what)
    fine = fine and bool(holds)


def child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except OSError:
            os._exit(1)
    return pid


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


def holder(lock, seconds):
    def hold():
        file = direct_file()
        lock(file, fcntl.LOCK_EX)
        os.write(pipe[1], b"x")
        time.sleep(seconds)
    pid = child(hold)
    os.read(pipe[0], 1)
    return pid


class Alarm(Exception):
    pass


def on_alarm(number, frame):
    raise Alarm()


pipe = os.pipe()
signal.signal(signal.SIGALRM, on_alarm)
open(direct + "/file", "w").write("x" * 100)
file = open(mount + "/file", "r+")

pid = holder(fcntl.lockf, 2)
check("a POSIX lock of the peer excludes", refused(lambda: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)))
answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
check("and F_GETLK tells whose it is", struct.unpack("hhqqi4x", answer)[4] == pid)
fcntl.lockf(file, fcntl.LOCK_EX)
check("it can be waited for", os.waitpid(pid, 0)[1] == 0)
fcntl.lockf(file, fcntl.LOCK_UN)

pid = holder(fcntl.flock, 5)
check("a flock of the peer excludes", refused(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)))
signal.setitimer(signal.ITIMER_REAL, 0.5)
started = time.time()
try:
    fcntl.flock(file, fcntl.LOCK_EX)
    check("a signal interrupts", False)
except Alarm:
    check("a signal interrupts", time.time() - started < 3)
late = 0
for i in range(300):
    signal.setitimer(signal.ITIMER_REAL, 0.0001 + i % 30 * 0.00002)
    started = time.time()
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except Alarm:
        late += time.time() - started > 1
    signal.setitimer(signal.ITIMER_REAL, 0)
check("at whatever moment it comes, 300 times", late == 0)
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
os.waitpid(pid, 0)
check("and all of them get it", all([os.waitpid(w, 0)[1] == 0 for w in waiters]))


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
sys.exit(0 if fine else 1)
