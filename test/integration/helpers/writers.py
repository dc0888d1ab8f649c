# SPDX-License-Identifier: LGPL-2.1-or-later
"""writers.py DIR: what becomes of files that one user has open while another one writes them; a line for each."""
import fcntl
import itertools
import os
import sys

USERS = [(0, 0, []), (1001, 1001, [2000]), (1001, 1002, []), (1002, 1002, [2000]), (1002, 2000, [1001])]
MODES = [0o2666, 0o2676, 0o4666, 0o6777]


def as_user(user, work):
    """Runs it in a process of its own, which keeps what it opens until it is told to end."""
    told, tell = os.pipe()
    done, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        uid, gid, groups = user
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        try:
            os.write(say, repr(work()).encode())
        except OSError as error:
            os.write(say, error.strerror.encode())
        os.read(told, 1)
        os._exit(0)
    os.close(told)
    os.close(say)
    said = os.read(done, 4096).decode()
    os.close(done)
    return said, lambda: (os.close(tell), os.waitpid(pid, 0))


def modes_after_writes():
    """The setuid and setgid bits that the second user's write leaves on."""
    for first, second, mode in itertools.product(USERS, USERS, MODES):
        with open("f", "w", encoding="ascii"):
            pass
        os.chown("f", 1001, 1002)
        os.chmod("f", mode)
        opened, end_first = as_user(first, lambda: os.open("f", os.O_RDWR) > 0)
        wrote, end_second = as_user(second, lambda: os.pwrite(os.open("f", os.O_RDWR), b"x", 0))
        print(first, second, oct(mode), opened, wrote, oct(os.stat("f").st_mode))
        end_second()            # which has the first one's pipe as well
        end_first()
        os.unlink("f")


def content(*steps):
    """What a file holds after the steps, each on (other file, file) opened with the flags of the first step."""
    with open("f", "w", encoding="ascii") as f:
        f.write("0123456789")
    other = os.open("f", os.O_RDWR)
    fd = os.open("f", os.O_RDWR | steps[0])
    for step in steps[1:]:
        step(other, fd)
    os.close(fd)
    os.close(other)
    with open("f", encoding="ascii") as f:
        text = f.read()
    os.unlink("f")
    return text


def appending():
    """O_APPEND counts as it is at each write: F_SETFL changes it."""
    def set_append(fd, flags):
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)

    def write(_, fd):
        os.write(fd, b"ab")

    def write_other(other, _):
        os.pwrite(other, b"cd", 4)

    def seek(_, fd):
        os.lseek(fd, 2, os.SEEK_SET)

    def append(_, fd):
        set_append(fd, os.O_APPEND)

    def overwrite(_, fd):
        set_append(fd, 0)

    for flags in (0, os.O_APPEND):
        for steps in itertools.permutations((write, seek, append, overwrite, write_other), 4):
            print(flags, [step.__name__ for step in steps], content(flags, *steps))


os.chdir(sys.argv[1])
os.chmod(".", 0o777)
modes_after_writes()
appending()
