# SPDX-License-Identifier: LGPL-2.1-or-later
"""readers.py PEERS FILE STOP READERS: reads root/<name of FILE> of every peer below PEERS, again and again until STOP
exists, in as many processes, and compares it with FILE. Prints what became of how many reads: "whole", "failed" (as it
may where a container ends), or what was wrong. STOP.first is there once something was read whole."""
import errno
import os
import sys

CHUNK = 1 << 20
ENDED = (errno.EIO, errno.ESTALE, errno.ENOENT)


def read_once(path, expected, direct):
    """One pass over the file; the kernel is to ask for all of it again."""
    try:
        fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    except OSError:
        return "absent"
    try:
        size = os.fstat(fd).st_size
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        off = 0
        while True:
            data = os.pread(fd, CHUNK, off)
            if not data:
                break
            if data != expected[off:off + len(data)]:
                return f"other content in {len(data)} bytes at {off}"
            off += len(data)
        return "whole" if off == size else f"ended at {off} of {size}, now {os.fstat(fd).st_size}"
    except OSError as error:
        return "failed" if error.errno in ENDED else error.strerror
    finally:
        os.close(fd)


def reader(peers, file, stop, direct):
    counts = {}
    with open(file, "rb") as f:
        expected = f.read()
    while not os.path.exists(stop):
        for peer in os.listdir(peers):
            what = read_once(os.path.join(peers, peer, "root", os.path.basename(file)), expected, direct)
            counts[what] = counts.get(what, 0) + 1
            if what == "whole" and counts[what] == 1:
                open(stop + ".first", "w").close()
    for what, count in counts.items():
        os.write(1, f"{count} {what}\n".encode())


def main():
    peers, file, stop, readers = sys.argv[1:]
    children = []
    for i in range(int(readers)):
        pid = os.fork()
        if pid == 0:
            reader(peers, file, stop, i % 4 == 3)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


main()
