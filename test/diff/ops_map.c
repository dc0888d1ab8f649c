/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapped files. Only what lies within the file is touched: beyond it there is SIGBUS. */
#include <errno.h>
#include <sys/mman.h>

#include "fsdiff.h"

#define MAP_LIMIT (128 * 1024)

bool with_shared_maps = true;

/* Where shared mappings are not offered only the mount is asked, and its right answer is said for both. */
static void
map_in_vain (const Side *side, int fd, int prot, size_t size, Text *text)
{
  if (side->mounted
      && (mmap (NULL, size, prot, MAP_SHARED, fd, 0) != MAP_FAILED || (errno != ENODEV && errno != EACCES)))
    say (text, " not refused");
}

static void *
map (const Side *side, int fd, int prot, int flags, size_t *ret_size, Text *text)
{
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode) || st.st_size == 0) {
    say (text, " nothing to map");
    return NULL;
  }
  size_t size = st.st_size > MAP_LIMIT ? MAP_LIMIT : (size_t) st.st_size;
  if ((flags & MAP_SHARED) && !with_shared_maps) {
    map_in_vain (side, fd, prot, size, text);
    return NULL;
  }
  void *at = mmap (NULL, size, prot, flags, fd, 0);
  say_result (text, at == MAP_FAILED ? -1 : 0);
  if (at == MAP_FAILED)
    return NULL;
  *ret_size = size;
  return at;
}

static void
op_map_read (Side *side, const Op *op, Text *text)
{
  size_t size;

  say (text, "mmap ([%u], PROT_READ, %s)", op->slot, op->r[0] & 1 ? "MAP_SHARED" : "MAP_PRIVATE");
  void *at = map (side, side->fd[op->slot], PROT_READ, op->r[0] & 1 ? MAP_SHARED : MAP_PRIVATE, &size, text);
  if (!at)
    return;
  say_bytes (text, at, size);
  munmap (at, size);
}

static void
op_map_write (Side *side, const Op *op, Text *text)
{
  size_t size;

  say (text, "mmap ([%u], PROT_READ|PROT_WRITE, MAP_SHARED)", op->slot);
  unsigned char *at = map (side, side->fd[op->slot], PROT_READ | PROT_WRITE, MAP_SHARED, &size, text);
  if (!at)
    return;
  size_t from = op->r[1] % size;
  size_t n = op->r[2] % (size - from) + 1;
  pattern (op->r[3], at + from, n > 9000 ? 9000 : n);
  say (text, " [%zu,+%zu]", from, n);
  say_result (text, msync (at, size, MS_SYNC));
  munmap (at, size);
  say_fstat (text, side->fd[op->slot]);
}

const Kind kinds_map[] = {
  { "map_read", op_map_read, 6, false },
  { "map_write", op_map_write, 6, false },
  { NULL, NULL, 0, false },
};
