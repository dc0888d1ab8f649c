#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What test_mappings.sh does to files that a peer uses at the same time.

databases.py probe PID FOLDER MOUNT          how a file behaves: shared mappings, bytes that are old
databases.py sqlite|lmdb PID FOLDER MOUNT    both sides work on new databases

FOLDER is one of the container of process PID, MOUNT the same by peerfs. Each prints lines "name: value". Who works on a
database is a process of its own; the peer's are in the container.
"""
import ctypes
import errno
import fcntl
import mmap
import multiprocessing
import os
import sqlite3
import sys

import lmdb

PAGE = mmap.PAGESIZE


def shared(fd, access):
    try:
        return mmap.mmap(fd, PAGE, mmap.MAP_SHARED, access)
    except OSError as error:
        return errno.errorcode[error.errno]


def probe_mapping(peer, mount, access):
    """Each side writes in turn; a mapping that is offered has to show the peer's bytes, and to overwrite none."""
    path, name = os.path.join(peer, "map"), os.path.join(mount, "map")
    with open(path, "wb") as file:
        file.write(b"." * PAGE)
    writable = access & mmap.PROT_WRITE
    fd = os.open(name, os.O_RDWR if writable else os.O_RDONLY)
    direct = os.open(path, os.O_RDWR)
    area = shared(fd, access)
    if isinstance(area, str):
        os.close(fd)
        return area
    old = lost = 0
    for i in range(50):
        mark = b"%08d" % i
        area[0:1]
        os.pwrite(direct, mark, 64)
        old += area[64:72] != mark
        if writable:
            area[512:520] = mark
            area.flush()
            lost += os.pread(direct, 8, 64) != mark
    os.close(fd)
    return "coherent" if old + lost == 0 else f"{old} of 50 old, {lost} of 50 lost"


def probe_reads(peer, mount, flags):
    """One descriptor stays open."""
    path = os.path.join(peer, "read")
    with open(path, "wb") as file:
        file.write(b"." * PAGE)
    fd = os.open(os.path.join(mount, "read"), flags)
    direct = os.open(path, os.O_RDWR)
    old = short = 0
    for i in range(100):
        mark = b"%08d" % i
        os.pwrite(direct, mark, 64)
        old += os.pread(fd, 8, 64) != mark
        os.pwrite(direct, mark, PAGE + 8 * i)
        short += os.pread(fd, 8, PAGE + 8 * i) != mark
    return f"{old} of 100 old, {short} of 100 appended not seen"


def probe_lock(peer, mount, lock):
    """The peer appends; a lock says that it has ended doing so. Then the size is no longer what was known before."""
    path = os.path.join(peer, "lock")
    with open(path, "wb", buffering=0) as direct, open(os.path.join(mount, "lock"), "rb+") as file:
        old = 0
        for i in range(1, 21):
            os.fstat(file.fileno())
            direct.write(b"x")
            lock(file, fcntl.LOCK_EX)
            old += os.fstat(file.fileno()).st_size != i
            lock(file, fcntl.LOCK_UN)
    return f"{old} of 20 sizes old"


def probe(peer, mount):
    yield "writable mapping", probe_mapping(peer, mount, mmap.PROT_READ | mmap.PROT_WRITE)
    yield "readable mapping", probe_mapping(peer, mount, mmap.PROT_READ)
    yield "read-only descriptor", probe_reads(peer, mount, os.O_RDONLY)
    yield "writable descriptor", probe_reads(peer, mount, os.O_RDWR)
    yield "POSIX lock", probe_lock(peer, mount, fcntl.lockf)
    yield "flock", probe_lock(peer, mount, fcntl.flock)
    with open(os.path.join(mount, "map"), "rb") as file:
        private = mmap.mmap(file.fileno(), PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ)
        yield "private mapping", "works" if private[64:72] == b"00000049" or private[0:1] == b"." else "garbage"


# --- SQLite: commits are counted by their writers

def sqlite_open(path):
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def sqlite_write(path, who, count):
    done, said = 0, set()
    for i in range(count):
        try:
            db = sqlite_open(path) if i % 20 == 0 else db
            db.execute("insert into t values (?, ?, randomblob(300))", (who, i))
            done += 1
        except sqlite3.Error as error:
            said.add(f"{error} ({error.sqlite_errorname})")
    return done, said


def sqlite_read(path, who, count):
    done, said = 0, set()
    for i in range(count):
        try:
            db = sqlite_open(path) if i % 20 == 0 else db
            db.execute("select count(*), max(length(v)) from t").fetchone()
            done += 1
        except sqlite3.Error as error:
            said.add(f"{error} ({error.sqlite_errorname})")
    return done, said


def sqlite_prepare(path, mode):
    db = sqlite_open(path)
    db.execute(f"pragma journal_mode={mode}")
    db.execute("create table t (who, i, v)")
    db.execute("create index ti on t (v)")
    db.close()


def sqlite_verdict(path, done):
    try:
        db = sqlite_open(path)
        check = db.execute("pragma integrity_check").fetchone()[0]
        kept = db.execute("select count(*) from t").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return "intact" if (check, kept) == ("ok", done) else f"{kept} of {done} commits kept, integrity {check[:60]!r}"


# --- LMDB

def lmdb_open(path):
    return lmdb.open(path, map_size=1 << 24, sync=False)


def lmdb_write(path, who, count):
    done, said = 0, set()
    try:
        env = lmdb_open(path)
        for i in range(count):
            with env.begin(write=True) as txn:
                txn.put(b"%s %08d" % (who.encode(), i), os.urandom(300))
            done += 1
    except Exception as error:      # pylint: disable=broad-except
        said.add(str(error).rsplit("/", 1)[-1])
    return done, said


def lmdb_read(path, who, count):
    done, said = 0, set()
    try:
        env = lmdb_open(path)
        for _ in range(count):
            with env.begin() as txn:
                list(txn.cursor())
            done += 1
    except Exception as error:      # pylint: disable=broad-except
        said.add(str(error).rsplit("/", 1)[-1])
    return done, said


def lmdb_prepare(path, _):
    os.mkdir(path)
    lmdb_open(path).close()


def lmdb_verdict(path, done):
    try:
        with lmdb_open(path).begin() as txn:
            kept = sum(1 for key, value in txn.cursor() if len(value) == 300)
    except Exception as error:      # pylint: disable=broad-except
        return str(error)
    return "intact" if kept == done else f"{kept} of {done} commits kept"


def start(container, function, *arguments):
    """function (*arguments) in a process of its own, in a container if one is named. The results come by a queue."""
    results = multiprocessing.Queue()

    def run():
        try:
            if container and ctypes.CDLL(None).setns(os.open(f"/proc/{container}/ns/mnt", os.O_RDONLY), 0) != 0:
                raise OSError("setns")
            results.put(function(*arguments))
        except Exception as error:      # pylint: disable=broad-except
            results.put(error)

    process = multiprocessing.Process(target=run)
    process.start()
    return process, results


def result(started):
    answer = started[1].get(timeout=120)
    started[0].join()
    if isinstance(answer, Exception):
        raise answer
    return answer


def rounds(kind, modes, count):
    """The peer writes while the sidecar reads, then both write."""
    here = globals()
    for mode in modes:
        for job in "read", "write":
            name = f"/{mode}-{job}"     # the sidecar may know a name for a second after it was given to another file
            result(start(PID, here[kind + "_prepare"], FOLDER + name, mode))
            peer = start(PID, here[kind + "_write"], FOLDER + name, "peer", count)
            sidecar = start(None, here[kind + "_" + job], MOUNT + name, "sidecar", count)
            done, said = result(peer)
            did, told = result(sidecar)
            what = f"{mode}, sidecar {job}s"
            yield f"{what}: peer", "all done" if (done, said) == (count, set()) else f"{done} done, {said}"
            commits = done + (did if job == "write" else 0)
            yield f"{what}: database", result(start(PID, here[kind + "_verdict"], FOLDER + name, commits))
            yield f"{what}: sidecar", "all done" if did == count else "refused" if did == 0 and told else f"{did} done"
            if told:
                print(f"# the sidecar was told: {sorted(told)}")


KIND, PID, FOLDER, MOUNT = sys.argv[1:5]
if KIND == "probe":
    LINES = probe(f"/proc/{PID}/root{FOLDER}", MOUNT)
elif KIND == "sqlite":
    LINES = rounds("sqlite", ["wal", "delete"], 150)
else:
    LINES = rounds("lmdb", ["lmdb"], 300)
for label, value in LINES:
    print(f"{label}: {value}", flush=True)
