/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/base/read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/base/fd.h"

#define CHUNK_FIRST (16 * 1024)
#define PIECE (64 * 1024)

/* Returns the number of bytes, 0 at the end of the file, or -errno. */
static ssize_t
read_some (int fd, char *buf, size_t size)
{
  ssize_t n;

  do
    n = read (fd, buf, size);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static int
open_to_read (int dirfd, const char *name)
{
  return openat (dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

/* The buffer grows with the content: sizes in /proc are wrong. */
static int
read_whole (int dirfd, const char *name, size_t max, bool cut, GBytes **ret_bytes)
{
  pfs_autofd fd = open_to_read (dirfd, name);
  g_autofree char *buf = NULL;
  size_t have = 0, room = 0;

  if (fd < 0)
    return -errno;
  max = MIN (max, (size_t) SSIZE_MAX - 1);
  for (size_t limit = cut ? max : max + 1; have < limit;) {
    if (have == room) {
      room = MIN (limit, MAX (CHUNK_FIRST, 2 * room));
      buf = g_realloc (buf, room);
    }
    ssize_t n = read_some (fd, buf + have, room - have);
    if (n < 0)
      return (int) n;
    if (n == 0)
      break;
    have += (size_t) n;
  }
  if (have > max)
    return -EFBIG;
  *ret_bytes = g_bytes_new_take (g_realloc (g_steal_pointer (&buf), have), have);
  return 0;
}

int
pfs_read_at (int dirfd, const char *name, size_t max, GBytes **ret_bytes)
{
  return read_whole (dirfd, name, max, false, ret_bytes);
}

int
pfs_read_prefix_at (int dirfd, const char *name, size_t max, GBytes **ret_bytes)
{
  return read_whole (dirfd, name, max, true, ret_bytes);
}

/* Gives each whole line to func. Returns how many bytes of the last line are left; -1 if func wants no more. */
static ssize_t
give_lines (const char *buf, size_t len, PfsLineFunc func, gpointer data)
{
  const char *end;

  for (; (end = memchr (buf, '\n', len)); len -= (size_t) (end + 1 - buf), buf = end + 1)
    if (!func (buf, (size_t) (end - buf), data))
      return -1;
  return (ssize_t) len;
}

int
pfs_read_lines_at (int dirfd, const char *name, size_t max, PfsLineFunc func, gpointer data)
{
  pfs_autofd fd = open_to_read (dirfd, name);
  g_autofree char *buf = NULL;
  size_t have = 0;

  if (fd < 0)
    return -errno;
  buf = g_malloc (PIECE);
  for (size_t all = 0; all < max && have < PIECE;) {
    ssize_t n = read_some (fd, buf + have, MIN (PIECE - have, max - all));
    if (n < 0)
      return (int) n;
    if (n == 0 && have > 0)
      func (buf, have, data);
    if (n == 0)
      return 0;
    all += (size_t) n;
    have += (size_t) n;
    ssize_t left = give_lines (buf, have, func, data);
    if (left < 0)
      return 0;
    memmove (buf, buf + have - left, (size_t) left);
    have = (size_t) left;
  }
  return -EFBIG;
}

int
pfs_readlink_at (int dirfd, const char *name, char **ret_target)
{
  char buf[PATH_MAX];
  ssize_t n = readlinkat (dirfd, name, buf, sizeof buf);

  if (n < 0)
    return -errno;
  if ((size_t) n >= sizeof buf)
    return -ENAMETOOLONG;
  *ret_target = g_strndup (buf, (gsize) n);
  return 0;
}
