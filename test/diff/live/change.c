/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that say who they are, and the peer that changes its tree. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fslive.h"

#define MAGIC 0x6c697665626c6f63u

static Block
block_of (uint32_t id, uint64_t index)
{
  return (Block) { MAGIC, id, index, (id * 0x9e3779b97f4a7c15u) ^ index ^ MAGIC };
}

/* From the index on, so many blocks. Whoever else writes there writes the same. */
static ssize_t
write_blocks (int fd, uint32_t id, uint64_t index, size_t n)
{
  Block blocks[64];

  for (size_t i = 0; i < n; i++)
    blocks[i] = block_of (id, index + i);
  return pwrite (fd, blocks, n * sizeof (Block), (off_t) (index * sizeof (Block)));
}

uint32_t
file_make (int dir, char *name, size_t size)
{
  uint32_t id = __atomic_add_fetch (&shared->next_id, 1, __ATOMIC_RELAXED);

  snprintf (name, size, "new.%u", id);
  int fd = openat (dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0)
    err (2, "a new file");
  for (uint64_t at = 0, n = rnd () % 3; at <= n; at++)
    if (write_blocks (fd, id, at * 64, 1 + rnd () % 64) < 0)
      err (2, "write");
  if (fchown (fd, id, id) < 0)
    err (2, "fchown");
  close (fd);
  return id;
}

long
file_check (int fd, uint32_t id, const char *where)
{
  Block blocks[BLOCKS_MAX], zero = { 0 };
  ssize_t n = pread (fd, blocks, sizeof blocks, 0);

  if (n < 0)
    return -1;
  if (n % (ssize_t) sizeof (Block))
    violated ("%s: file %u: %zd bytes are no whole blocks", where, id, n);
  for (uint64_t i = 0; i < (size_t) n / sizeof (Block); i++) {
    Block good = block_of (id, i);

    if (memcmp (&blocks[i], &good, sizeof good) != 0 && memcmp (&blocks[i], &zero, sizeof zero) != 0)
      violated ("%s: file %u, block %llu: is of file %llu, block %llu", where, id, (unsigned long long) i,
                (unsigned long long) blocks[i].id, (unsigned long long) blocks[i].index);
  }
  return n / (ssize_t) sizeof (Block);
}

void
path_make (char *path, size_t size)
{
  unsigned int dir = (unsigned int) (rnd () % DIRS), name = (unsigned int) (rnd () % NAMES);

  switch (rnd () % 40) {
  case 0:
    snprintf (path, size, "d%u", dir);
    break;
  case 1:
  case 2:
    snprintf (path, size, "link%u", dir);
    break;
  case 3:
  case 4:
  case 5:
    snprintf (path, size, "link%u/f%u", dir, name);
    break;
  case 6:
  case 7:
  case 8:
    snprintf (path, size, "d%u/d%u", dir, name % DIRS);
    break;
  case 9:
  case 10:
  case 11:
    snprintf (path, size, "d%u/d%u/f%u", dir, name % DIRS, name);
    break;
  default:
    snprintf (path, size, "d%u/f%u", dir, name);
  }
}

/* Longer, shorter, or only its attributes: on an overlay each of them copies up. */
static void
change_file (int tree, const char *path)
{
  int fd = openat (tree, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  struct stat st;

  if (fd < 0)
    return;
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && st.st_uid != 0) {
    uint64_t blocks = (uint64_t) st.st_size / sizeof (Block);

    if (rnd () % 3 == 0)
      fchmod (fd, 0600 | (mode_t) (rnd () % 64));
    else if (rnd () % 2)
      (void) !ftruncate (fd, (off_t) (rnd () % (blocks + 1) * sizeof (Block)));
    else if (blocks < BLOCKS_MAX - 64)
      (void) !write_blocks (fd, st.st_uid, blocks, 1 + rnd () % 64);
  }
  close (fd);
}

static void
swap_link (int tree, const char *path)
{
  const char *outside = getenv ("FSLIVE_OUTSIDE");
  char relative[4096];
  snprintf (relative, sizeof relative, "../../../../../../../..%s", outside ? outside : "/");
  const char *const targets[] = { "d0", "d1/../d2", "/tree/d3", "d0/f0", "link1", outside ? outside : "/", relative };
  char temporary[32];

  snprintf (temporary, sizeof temporary, "link.%d", (int) getpid ());
  unlinkat (tree, temporary, 0);
  if (symlinkat (targets[rnd () % (sizeof targets / sizeof *targets)], tree, temporary) == 0
      && renameat (tree, temporary, tree, path) < 0)
    unlinkat (tree, temporary, 0);
}

void
change (int tree, int stage)
{
  char path[64], other[64], name[32];

  path_make (path, sizeof path);
  path_make (other, sizeof other);
  switch (rnd () % 12) {
  case 0:
  case 1:
  case 2:
    file_make (stage, name, sizeof name);
    if (renameat (stage, name, tree, path) < 0)
      unlinkat (stage, name, 0);
    break;
  case 3:
    renameat (tree, path, tree, other);
    break;
  case 4:
    renameat2 (tree, path, tree, other, RENAME_EXCHANGE);
    break;
  case 5:
    unlinkat (tree, path, 0);
    break;
  case 6:
    snprintf (other, sizeof other, "d%u", (unsigned int) (rnd () % DIRS));
    mkdirat (tree, rnd () % 2 ? other : path, 0755);
    break;
  case 7:
    unlinkat (tree, path, AT_REMOVEDIR);
    break;
  case 8:
    snprintf (path, sizeof path, "link%u", (unsigned int) (rnd () % DIRS));
    swap_link (tree, path);
    break;
  default:
    change_file (tree, path);
  }
}
