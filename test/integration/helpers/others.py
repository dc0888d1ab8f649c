# SPDX-License-Identifier: LGPL-2.1-or-later
"""others.py WHAT CONTROL MOUNT SECONDS NAME: a client of container NAME works through MOUNT, and another one through
CONTROL, the mount of a daemon for whom nobody waits, at the same time. Says how long each had to wait at worst for one
answer. What the machine is busy with holds up both: MOUNT's may wait 100 ms, or as long as ten times the other one."""
import os
import sys
import time

from checks import check, finish

what, control, mount, seconds, name = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5]


def read(path):
    with open(path, "rb") as file:
        file.read()


def work(peer):
    """The longest time, what it was needed for, and how many answers there were."""
    requests = (
        ("stat", lambda i: os.stat("%s/root/etc/passwd" % peer)),
        ("stat what is missing", lambda i: os.path.exists("%s/root/etc/missing-%d" % (peer, i))),
        ("open and read", lambda i: read(peer + "/root/etc/passwd")),
        ("list", lambda i: os.listdir(peer + "/root/etc")),
        ("list the containers", lambda i: os.listdir(os.path.dirname(peer))),
        ("read a variable", lambda i: read(peer + "/env/PATH")),
        ("list sockets", lambda i: os.listdir(peer + "/sockets")),
        ("list mapped files", lambda i: os.listdir(peer + "/maps/files")),
    )
    worst, slowest, count, end = 0.0, "", 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, ask in requests:
            begin = time.monotonic()
            ask(count)
            took = time.monotonic() - begin
            count += 1
            if took > worst:
                worst, slowest = took, kind
    return "%.1f\t%s\t%d" % (worst * 1000, slowest, count)


def begin(peer):
    ends = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(ends[1], work(peer).encode())
        os._exit(0)
    os.close(ends[1])
    return pid, ends[0]


def end(client):
    pid, file = client
    text = os.read(file, 4096).decode()
    os.waitpid(pid, 0)
    worst, slowest, count = text.split("\t")
    return float(worst), slowest, int(count)


clients = [begin("%s/%s" % (top, name)) for top in (mount, control)]
(worst, slowest, count), (usual, _, usual_count) = [end(client) for client in clients]
check("%s: of %d answers to others the slowest took %.1f ms (%s); without those who wait, of %d, %.1f ms"
      % (what, count, worst, slowest, usual_count, usual), worst < max(100, 10 * usual))
finish()
