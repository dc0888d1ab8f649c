/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fsdiff.h"

/* A close ends the POSIX locks of its process; through peerfs one of a file that was opened for reading before anybody
 * locked it does not (docs/limits.md), so that it is said here. */
static int
close_and_unlock (int fd)
{
  struct flock everything = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

  fcntl (fd, F_SETLK, &everything);
  return close (fd);
}

static void
put (Side *side, unsigned int slot, int fd)
{
  int saved = errno;

  if (side->fd[slot] >= 0)
    close_and_unlock (side->fd[slot]);
  side->fd[slot] = fd;
  errno = saved;
}

static void
opened (Side *side, const Op *op, int fd, Text *text)
{
  put (side, op->slot, fd);
  say_result (text, fd < 0 ? -1 : 0);
  if (fd >= 0)
    say_fstat (text, fd);
}

static bool
one_in (uint32_t bits, unsigned int n)
{
  return bits % n == 0;
}

/* FIFOs are opened without waiting for another end. */
static int
random_flags (const Op *op)
{
  static const int access_modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
  int flags = access_modes[op->r[0] % 4] | O_NONBLOCK | O_CLOEXEC;

  flags |= op->r[0] & 0x10 ? O_CREAT : 0;
  flags |= one_in (op->r[1] & 0xff, 8) ? O_EXCL : 0;
  flags |= one_in (op->r[1] >> 8 & 0xff, 6) ? O_TRUNC : 0;
  flags |= one_in (op->r[1] >> 16 & 0xff, 5) ? O_APPEND : 0;
  flags |= one_in (op->r[1] >> 24, 12) ? O_DIRECTORY : 0;
  flags |= one_in (op->r[2] & 0xff, 10) ? O_NOFOLLOW : 0;
  flags |= one_in (op->r[2] >> 8 & 0xff, 20) ? O_SYNC : 0;
  flags |= one_in (op->r[2] >> 16 & 0xff, 20) ? O_NOATIME : 0;
  return flags;
}

static void
op_open (Side *side, const Op *op, Text *text)
{
  int flags = random_flags (op);

  /* open(2): O_CREAT with O_DIRECTORY, and O_EXCL without O_CREAT, are undefined. */
  if (flags & O_DIRECTORY)
    flags &= ~O_CREAT;
  if (!(flags & O_CREAT))
    flags &= ~O_EXCL;
  say (text, "[%u] open (%s, 0%o, 0%o)", op->slot, path_of (op->path), flags, mode_of (op->r[3]));
  opened (side, op, open (path_of (op->path), flags, mode_of (op->r[3])), text);
}

static void
op_create (Side *side, const Op *op, Text *text)
{
  int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | (op->r[0] % 3 == 0 ? O_TRUNC : 0);

  say (text, "[%u] open (%s, 0%o, 0%o)", op->slot, path_of (op->path), flags, mode_of (op->r[3]) | 0600);
  opened (side, op, open (path_of (op->path), flags, mode_of (op->r[3]) | 0600), text);
}

static void
op_open_path (Side *side, const Op *op, Text *text)
{
  int flags = O_PATH | O_CLOEXEC | (op->r[0] & 1 ? O_NOFOLLOW : 0);

  say (text, "[%u] open (%s, 0%o)", op->slot, path_of (op->path), flags);
  opened (side, op, open (path_of (op->path), flags), text);
}

static void
op_open_direct (Side *side, const Op *op, Text *text)
{
  int flags = O_RDWR | O_DIRECT | O_CLOEXEC | O_NONBLOCK;

  say (text, "[%u] open (%s, 0%o)", op->slot, path_of (op->path), flags);
  opened (side, op, open (path_of (op->path), flags), text);
}

static void
op_tmpfile (Side *side, const Op *op, Text *text)
{
  int flags = O_TMPFILE | (op->r[0] & 1 ? O_RDWR : O_WRONLY) | (op->r[0] % 8 == 0 ? O_EXCL : 0) | O_CLOEXEC;

  say (text, "[%u] open (%s, 0%o, 0%o)", op->slot, path_of (op->path), flags, mode_of (op->r[1]));
  opened (side, op, open (path_of (op->path), flags, mode_of (op->r[1])), text);
}

static void
op_link_fd (Side *side, const Op *op, Text *text)
{
  char from[64];

  snprintf (from, sizeof from, "/proc/self/fd/%d", side->fd[op->slot]);
  say (text, "linkat ([%u], %s)", op->slot, path_of (op->path));
  say_result (text, linkat (AT_FDCWD, from, AT_FDCWD, path_of (op->path), AT_SYMLINK_FOLLOW));
  say_lstat (text, path_of (op->path));
  say_fstat (text, side->fd[op->slot]);
}

static void
op_reopen (Side *side, const Op *op, Text *text)
{
  int flags = (int) (op->r[0] % 3) | O_CLOEXEC | O_NONBLOCK;
  char from[64];

  snprintf (from, sizeof from, "/proc/self/fd/%d", side->fd[op->slot2]);
  say (text, "[%u] reopen ([%u], 0%o)", op->slot, op->slot2, flags);
  opened (side, op, open (from, flags), text);
}

static void
op_dup (Side *side, const Op *op, Text *text)
{
  int fd = fcntl (side->fd[op->slot2], F_DUPFD_CLOEXEC, 0);

  say (text, "[%u] dup ([%u])", op->slot, op->slot2);
  opened (side, op, fd, text);
}

static void
op_close (Side *side, const Op *op, Text *text)
{
  say (text, "close ([%u])", op->slot);
  if (side->fd[op->slot] < 0)
    return;
  say_result (text, close_and_unlock (side->fd[op->slot]));
  side->fd[op->slot] = -1;
}

static void
op_set_flags (Side *side, const Op *op, Text *text)
{
  int flags = O_NONBLOCK | (op->r[0] & 1 ? O_APPEND : 0);

  say (text, "fcntl ([%u], F_SETFL, 0%o)", op->slot, flags);
  say_result (text, fcntl (side->fd[op->slot], F_SETFL, flags));
}

const Kind kinds_open[] = {
  { "open", op_open, 30, false },
  { "create", op_create, 25, false },
  { "open_path", op_open_path, 4, false },
  { "open_direct", op_open_direct, 3, false },
  { "tmpfile", op_tmpfile, 3, false },
  { "link_fd", op_link_fd, 3, false },
  { "reopen", op_reopen, 4, false },
  { "dup", op_dup, 2, false },
  { "close", op_close, 12, false },
  { "set_flags", op_set_flags, 3, false },
  { NULL, NULL, 0, false },
};
