/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See held.c: the system calls that may wait for a file system. Under a lock they are for /proc and for what is no file
 * (sockets, namespaces, devices). */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <glib.h>

#include "held.h"

#define PROCS_MAX 64

int __real_stat (const char *path, struct stat *ret);
long __real_syscall (long number, long a, long b, long c, long d, long e, long f);

static dev_t procs[PROCS_MAX];
static int n_procs;

void
pfs_held_proc (const char *dir)
{
  struct stat st;

  if (__real_stat (dir, &st) == 0 && n_procs < PROCS_MAX)
    procs[__atomic_fetch_add (&n_procs, 1, __ATOMIC_SEQ_CST)] = st.st_dev;
}

static bool
is_proc (dev_t dev)
{
  int n = __atomic_load_n (&n_procs, __ATOMIC_SEQ_CST);

  for (int i = 0; i < n && i < PROCS_MAX; i++)
    if (procs[i] == dev)
      return true;
  return false;
}

/* To find that out asks no file system either. What is no descriptor fails at once. */
static bool
never_waits (int fd)
{
  char path[32], target[8] = "";
  struct statx st;
  int before = errno;

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t n = readlink (path, target, sizeof target);
  long r = __real_syscall (SYS_statx, fd, (long) "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, (long) &st, 0);
  errno = before;
  if (n < 0 || target[0] != '/' || r < 0 || S_ISCHR (st.stx_mode))
    return true;
  return is_proc (makedev (st.stx_dev_major, st.stx_dev_minor));
}

/* By a descriptor. */
static void
check (const char *call, int fd)
{
  if (pfs_held_any () && !never_waits (fd))
    pfs_none_held (call);
}

/* By a name: on the way to it lies no magic link. */
static void
check_at (const char *call, int dirfd, const char *path)
{
  if (!pfs_held_any ())
    return;
  bool in_proc = path[0] == '/' ? g_str_has_prefix (path, "/proc/") : never_waits (dirfd);
  if (!in_proc || strstr (path, "root/") || strstr (path, "cwd/"))
    pfs_none_held (call);
}

/* What was found at its end, where a magic link may have led: r is what the call gave. */
static int
check_end (const char *call, int r, dev_t dev)
{
  if (r == 0 && pfs_held_any () && !is_proc (dev))
    pfs_none_held (call);
  return r;
}

/* To open a file's place alone is to ask nobody. */
static int
check_opened (const char *call, int fd, int flags)
{
  if (fd >= 0 && !(flags & O_PATH))
    check (call, fd);
  return fd;
}

#define FD(name, fd, ...) \
  { \
    check (#name, fd); \
    return __real_##name (__VA_ARGS__); \
  }

#define AT(name, dirfd, path, ...) \
  { \
    check_at (#name, dirfd, path); \
    return __real_##name (__VA_ARGS__); \
  }

/* --- by a descriptor */

WRAP (int, close, int fd) FD (close, fd, fd)
WRAP (ssize_t, read, int fd, void *mem, size_t size) FD (read, fd, fd, mem, size)
WRAP (ssize_t, pread, int fd, void *mem, size_t size, off_t off) FD (pread, fd, fd, mem, size, off)
WRAP (ssize_t, write, int fd, const void *mem, size_t size) FD (write, fd, fd, mem, size)
WRAP (ssize_t, pwrite, int fd, const void *mem, size_t size, off_t off) FD (pwrite, fd, fd, mem, size, off)
WRAP (ssize_t, preadv2, int fd, const struct iovec *v, int n, off_t off, int flags)
  FD (preadv2, fd, fd, v, n, off, flags)
WRAP (ssize_t, pwritev2, int fd, const struct iovec *v, int n, off_t off, int flags)
  FD (pwritev2, fd, fd, v, n, off, flags)
WRAP (off_t, lseek, int fd, off_t off, int whence) FD (lseek, fd, fd, off, whence)
WRAP (int, flock, int fd, int operation) FD (flock, fd, fd, operation)
WRAP (int, dup3, int old, int new, int flags) FD (dup3, new, old, new, flags)
WRAP (int, fsync, int fd) FD (fsync, fd, fd)
WRAP (int, fdatasync, int fd) FD (fdatasync, fd, fd)
WRAP (int, fallocate, int fd, int mode, off_t off, off_t length) FD (fallocate, fd, fd, mode, off, length)
WRAP (int, ftruncate, int fd, off_t length) FD (ftruncate, fd, fd, length)
WRAP (int, fstatfs, int fd, struct statfs *ret) FD (fstatfs, fd, fd, ret)
WRAP (int, fstatvfs, int fd, struct statvfs *ret) FD (fstatvfs, fd, fd, ret)
WRAP (int, fstat, int fd, struct stat *ret) FD (fstat, fd, fd, ret)
WRAP (int, fcntl, int fd, int command, void *argument) FD (fcntl, fd, fd, command, argument)
WRAP (int, ioctl, int fd, unsigned long command, void *argument) FD (ioctl, fd, fd, command, argument)
WRAP (struct dirent *, readdir, DIR *dir) FD (readdir, dirfd (dir), dir)
WRAP (int, closedir, DIR *dir) FD (closedir, dirfd (dir), dir)
WRAP (ssize_t, copy_file_range, int in, off_t *off_in, int out, off_t *off_out, size_t size, unsigned int flags)
  FD (copy_file_range, in, in, off_in, out, off_out, size, flags)

/* --- by a name */

WRAP (ssize_t, readlinkat, int dir, const char *path, char *mem, size_t size)
  AT (readlinkat, dir, path, dir, path, mem, size)
WRAP (int, faccessat, int dir, const char *path, int mode, int flags) AT (faccessat, dir, path, dir, path, mode, flags)
WRAP (int, fchmodat, int dir, const char *path, mode_t mode, int flags) AT (fchmodat, dir, path, dir, path, mode, flags)
WRAP (int, fchownat, int dir, const char *path, uid_t uid, gid_t gid, int flags)
  AT (fchownat, dir, path, dir, path, uid, gid, flags)
WRAP (int, utimensat, int dir, const char *path, const struct timespec times[2], int flags)
  AT (utimensat, dir, path, dir, path, times, flags)
WRAP (int, truncate, const char *path, off_t length) AT (truncate, AT_FDCWD, path, path, length)
WRAP (int, mkdirat, int dir, const char *path, mode_t mode) AT (mkdirat, dir, path, dir, path, mode)
WRAP (int, mknodat, int dir, const char *path, mode_t mode, dev_t dev) AT (mknodat, dir, path, dir, path, mode, dev)
WRAP (int, symlinkat, const char *target, int dir, const char *path) AT (symlinkat, dir, path, target, dir, path)
WRAP (int, linkat, int from, const char *old, int dir, const char *path, int flags)
  AT (linkat, dir, path, from, old, dir, path, flags)
WRAP (int, unlinkat, int dir, const char *path, int flags) AT (unlinkat, dir, path, dir, path, flags)
WRAP (int, renameat2, int from, const char *old, int dir, const char *path, unsigned int flags)
  AT (renameat2, dir, path, from, old, dir, path, flags)

/* Of a file by its descriptor's link in /proc. */
WRAP (ssize_t, getxattr, const char *path, const char *name, void *mem, size_t size)
  ALONE (getxattr, path, name, mem, size)
WRAP (ssize_t, listxattr, const char *path, char *mem, size_t size) ALONE (listxattr, path, mem, size)
WRAP (int, setxattr, const char *path, const char *name, const void *mem, size_t size, int flags)
  ALONE (setxattr, path, name, mem, size, flags)
WRAP (int, removexattr, const char *path, const char *name) ALONE (removexattr, path, name)

WRAP (int, open, const char *path, int flags, mode_t mode)
{
  check_at ("open", AT_FDCWD, path);
  return check_opened ("open", __real_open (path, flags, mode), flags);
}

WRAP (int, openat, int dir, const char *path, int flags, mode_t mode)
{
  check_at ("openat", dir, path);
  return check_opened ("openat", __real_openat (dir, path, flags, mode), flags);
}

WRAP (int, stat, const char *path, struct stat *ret)
{
  check_at ("stat", AT_FDCWD, path);
  int r = __real_stat (path, ret);
  return check_end ("stat", r, ret->st_dev);
}

WRAP (int, fstatat, int dir, const char *path, struct stat *ret, int flags)
{
  check_at ("fstatat", dir, path);
  int r = __real_fstatat (dir, path, ret, flags);
  return check_end ("fstatat", r, ret->st_dev);
}

/* What is known of a file anyway is no question to its server. */
WRAP (int, statx, int dir, const char *path, int flags, unsigned int mask, struct statx *ret)
{
  bool asks = !(flags & AT_STATX_DONT_SYNC);

  if (asks || *path)
    check_at ("statx", dir, path);
  int r = __real_statx (dir, path, flags, mask, ret);
  return asks ? check_end ("statx", r, makedev (ret->stx_dev_major, ret->stx_dev_minor)) : r;
}

WRAP (long, syscall, long number, long a, long b, long c, long d, long e, long f)
{
  if (number == SYS_openat2)
    check_at ("openat2", (int) a, (const char *) b);
  else if (number == SYS_getdents64)
    check ("getdents64", (int) a);
  return __real_syscall (number, a, b, c, d, e, f);
}
