# SPDX-License-Identifier: LGPL-2.1-or-later
"""stuck.py DIR PEER [N [WITHOUT...]]: one process for each kind of request about the mount on DIR, which is dead by
then, or N processes, of all kinds but those. In DIR, "{}" stands for the number of each. PEER is the container's
directory in peerfs. Says "NAME PID" of each once it is prepared, and lets all go on SIGUSR1."""
import ctypes
import fcntl
import mmap
import os
import signal
import struct
import sys

directories, peer = sys.argv[1], sys.argv[2]
top = program = None  # of each
libc = ctypes.CDLL(None, use_errno=True)
go = os.pipe()


def posix(file, command, kind=fcntl.F_WRLCK):
    fcntl.fcntl(file, command, struct.pack("hhqqi4x", kind, 0, 0, 1, 0))


def dirty():
    file = os.open(program, os.O_RDWR)
    os.write(file, b"x")
    return file


def locked():
    file = os.open(program, os.O_RDWR)
    posix(file, fcntl.F_SETLK)
    return file


def opened():
    return os.open(program, os.O_RDWR)


def read_only():
    return os.open(program, os.O_RDONLY)


def directory():
    return os.open(top, os.O_RDONLY)


def nothing():
    return None


def copy(file):
    other = ctypes.c_longlong(0), ctypes.c_longlong(8)
    libc.copy_file_range(file, ctypes.byref(other[0]), file, ctypes.byref(other[1]), 8, 0)


def direct_read(file):
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.pread(file, 64, 0 if "{}" in directories else 1 << 16)


# name: what is prepared while the mount is alive, what is asked for once it is dead
kinds = {
    "lookup": (nothing, lambda _: os.stat(top + "/missing")),
    "getattr": (nothing, lambda _: os.stat(program)),
    "fstat": (read_only, os.fstat),
    "chmod": (nothing, lambda _: os.chmod(program, 0o700)),
    "ftruncate": (opened, lambda file: os.ftruncate(file, 1)),
    "readlink": (nothing, lambda _: os.readlink(top + "/link")),
    "statfs": (nothing, lambda _: os.statvfs(top)),
    "list": (nothing, lambda _: os.listdir(top)),
    "readdir": (directory, os.listdir),
    "fsyncdir": (directory, os.fsync),
    "closedir": (directory, os.close),
    "open": (nothing, lambda _: opened()),
    "create": (nothing, lambda _: os.open(top + "/new", os.O_CREAT | os.O_RDWR)),
    "tmpfile": (nothing, lambda _: os.open(top, os.O_TMPFILE | os.O_RDWR)),
    "read": (read_only, direct_read),
    "write": (opened, lambda file: os.pwrite(file, b"x", 0)),
    "flush": (opened, os.close),
    "close-dirty": (dirty, os.close),
    "close-read-only": (read_only, os.close),
    "getlk": (read_only, lambda file: posix(file, fcntl.F_GETLK)),
    "setlk": (read_only, lambda file: posix(file, fcntl.F_SETLK, fcntl.F_RDLCK)),
    "setlkw": (read_only, lambda file: posix(file, fcntl.F_SETLKW, fcntl.F_RDLCK)),
    "flock": (read_only, lambda file: fcntl.flock(file, fcntl.LOCK_EX)),
    "fsync": (read_only, os.fsync),
    "fallocate": (opened, lambda file: os.posix_fallocate(file, 0, 10)),
    "lseek": (read_only, lambda file: os.lseek(file, 0, os.SEEK_DATA)),
    "copy": (opened, copy),
    "mknod": (nothing, lambda _: os.mknod(top + "/node")),
    "mkdir": (nothing, lambda _: os.mkdir(top + "/dir")),
    "symlink": (nothing, lambda _: os.symlink("x", top + "/symlink")),
    "link": (nothing, lambda _: os.link(program, top + "/hard")),
    "unlink": (nothing, lambda _: os.unlink(program)),
    "rmdir": (nothing, lambda _: os.rmdir(top + "/dir")),
    "rename": (nothing, lambda _: os.rename(program, top + "/other")),
    "getxattr": (nothing, lambda _: os.getxattr(program, "user.x")),
    "listxattr": (nothing, lambda _: os.listxattr(program)),
    "setxattr": (nothing, lambda _: os.setxattr(program, "user.x", b"x")),
    "removexattr": (nothing, lambda _: os.removexattr(program, "user.x")),
    "sockets": (nothing, lambda _: os.listdir(peer + "/sockets")),
    # The last: from then on the end of any process that has the file open waits for the mount, even if it only reads.
    "unlock": (locked, lambda file: posix(file, fcntl.F_SETLK, fcntl.F_UNLCK)),
    "close-locked": (locked, os.close),
}

wanted = [name for name in kinds if name not in sys.argv[4:]]
for i in range(int(sys.argv[3]) if sys.argv[3:] else len(wanted)):
    name = wanted[i % len(wanted)]
    prepare, ask = kinds[name]
    top = directories.replace("{}", str(i))
    program = top + "/program"
    ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go[1])
        try:
            prepared = prepare()
        except OSError as e:
            print("# %s: %s" % (name, e), flush=True)
            prepared = None
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        try:
            ask(prepared)
        except (OSError, TypeError):
            pass
        os._exit(0)
    os.read(ready[0], 1)
    os.close(ready[0]), os.close(ready[1])
    print(name, pid, flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("prepared", flush=True)
signal.sigwait({signal.SIGUSR1})
os._exit(0)
