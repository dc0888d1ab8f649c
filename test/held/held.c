/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nothing waits for a peer under a lock. Builds with sanitizers (but ThreadSanitizer's) link this file: each thread counts
 * the mutexes that it holds, and the program aborts if it asks a peer's file for anything while there are any. */
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <glib.h>

#include "held.h"
#include "peerfs/base/inroot.h"

static __thread int held;

void
pfs_none_held (const char *call)
{
  if (held == 0)
    return;
  fprintf (stderr, "%s with %d mutexes held\n", call, held);
  __sanitizer_print_stack_trace ();
  abort ();
}

WRAP (void, g_mutex_lock, GMutex *mutex)
{
  __real_g_mutex_lock (mutex);
  held++;
}

WRAP (gboolean, g_mutex_trylock, GMutex *mutex)
{
  gboolean locked = __real_g_mutex_trylock (mutex);

  held += locked;
  return locked;
}

WRAP (void, g_mutex_unlock, GMutex *mutex)
{
  held--;
  __real_g_mutex_unlock (mutex);
}

/* openat(2), statx(2) and close(2) are for /proc, too, of which a scan is done under a lock: node.c has those of files. */
WRAP (int, pfs_inroot_open, int root, const char *path, int flags) ALONE (pfs_inroot_open, root, path, flags)
WRAP (int, flock, int fd, int operation) ALONE (flock, fd, operation)
WRAP (int, dup3, int old, int new, int flags) ALONE (dup3, old, new, flags)
WRAP (int, fsync, int fd) ALONE (fsync, fd)
WRAP (int, fdatasync, int fd) ALONE (fdatasync, fd)
WRAP (int, fallocate, int fd, int mode, off_t offset, off_t length) ALONE (fallocate, fd, mode, offset, length)
WRAP (int, fstatfs, int fd, struct statfs *ret) ALONE (fstatfs, fd, ret)
WRAP (ssize_t, pread, int fd, void *mem, size_t size, off_t off) ALONE (pread, fd, mem, size, off)
WRAP (ssize_t, pwrite, int fd, const void *mem, size_t size, off_t off) ALONE (pwrite, fd, mem, size, off)
WRAP (int, open, const char *path, int flags, int mode) ALONE (open, path, flags, mode)
WRAP (int, fcntl, int fd, int command, void *argument) ALONE (fcntl, fd, command, argument)
