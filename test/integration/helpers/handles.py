# SPDX-License-Identifier: LGPL-2.1-or-later
"""File handles (open_by_handle_at(2)) and descriptors that only name a file (O_PATH).

  handles.py name PATH...             what name_to_handle_at(2) calls each, as hexadecimal digits
  handles.py open MOUNT HANDLE [SUB]  opens that, for reading, or what lies below it: + or -
  handles.py known MOUNT HANDLE       says whether the kernel remembers that: + or -
  handles.py keep FIFO PATH...        takes O_PATH descriptors, waits until FIFO is written, and opens each: + or -
"""
import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_ubyte * 128)]


def name(path):
    handle, mount = Handle(bytes=128), ctypes.c_int()
    if libc.name_to_handle_at(AT_FDCWD, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0) < 0:
        return "error"
    return "%02x%s" % (handle.type, bytes(handle.handle[: handle.bytes]).hex())


def sign(fd, sub=None):
    try:
        fd = os.open(sub, os.O_RDONLY, dir_fd=fd) if sub else fd
        return "+" if os.read(fd, 1) else "-"
    except IsADirectoryError:
        return "+" if os.listdir(fd) else "-"
    except OSError:
        return "-"


def raw_open(mount, text, flags):
    raw = bytes.fromhex(text)
    handle = Handle(bytes=len(raw) - 1, type=raw[0])
    handle.handle[: len(raw) - 1] = raw[1:]
    return libc.open_by_handle_at(os.open(mount, os.O_RDONLY | os.O_DIRECTORY), ctypes.byref(handle), flags)


def open_handle(mount, text, sub=None):
    fd = raw_open(mount, text, os.O_PATH if sub else os.O_RDONLY)
    return "-" if fd < 0 else sign(fd, sub)


def reopen(fd):
    try:
        return sign(os.open("/proc/self/fd/%d" % fd, os.O_RDONLY))
    except OSError:
        return "-"


if sys.argv[1] == "name":
    print(*map(name, sys.argv[2:]))
elif sys.argv[1] == "open":
    print(open_handle(*sys.argv[2:]))
elif sys.argv[1] == "known":
    print("-" if raw_open(*sys.argv[2:], os.O_PATH) < 0 else "+")
else:
    fds = [os.open(path, os.O_PATH) for path in sys.argv[3:]]
    print("before", *map(reopen, fds), flush=True)
    open(sys.argv[2]).read()
    print("after", *map(reopen, fds), flush=True)
