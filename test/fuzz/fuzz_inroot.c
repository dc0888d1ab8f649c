/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small tree of directories, files and links made of the input, and a path in it: a caller, who is shown contained
 * links, ends at the very file that the kernel finds in a jail, or with the same error; and never leaves the tree.
 *
 * Input: lines "d PATH", "f PATH", "l PATH TARGET"; the last line is the path to resolve. */
#include <ftw.h>
#include <stdlib.h>

#include "../unit/base/caller.h"
#include "fuzz.h"

#define LINES_MAX 40

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) st, (void) type, (void) ftw;
  return remove (path);
}

/* A name in the tree without ".." or links on the way: the input makes its tree, and nothing beside it. */
static void
make (int root, char kind, const char *path, const char *target)
{
  g_autofree char *dir = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);

  if (strlen (path) > 512 || strstr (path, ".."))
    return;
  pfs_autofd fd = pfs_inroot_open (root, dir, O_PATH | O_DIRECTORY);
  if (fd < 0)
    return;
  if (kind == 'd') {
    if (mkdirat (fd, name, 0755) < 0)
      return;
  } else if (kind == 'f') {
    int file = openat (fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    pfs_fd_cleanup (&file);
  } else if (target && symlinkat (target, fd, name) < 0) {
    return;
  }
}

/* More than forty links in one path, some of them before a "..", are the one difference there may be. */
static void
compare (int root, const char *path)
{
  pfs_autofd right = kernel_open (root, path, O_PATH);
  pfs_autofd found = caller_open (root, path);
  struct stat a, b;

  MUST (found != CALLER_LEFT_THE_TREE);
  if (right == -ELOOP)
    return;
  MUST ((right < 0) == (found < 0));
  if (right < 0) {
    MUST (found == right);
    return;
  }
  MUST (fstat (right, &a) == 0 && fstat (found, &b) == 0);
  MUST (a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}

/* The caller's own ".." is not contained: only that of links is. */
static bool
path_is_fair (const char *path)
{
  return *path && strlen (path) < PATH_MAX && !strstr (path, "..");
}

static void
run (int root, char **lines)
{
  guint n = 0;

  while (lines[n] && lines[n + 1] && n < LINES_MAX) {
    char *line = lines[n++];
    char *target = NULL;

    if (!strchr ("dfl", line[0]) || line[0] == '\0' || line[1] != ' ')
      continue;
    if (line[0] == 'l' && (target = strchr (line + 2, ' ')))
      *target++ = '\0';
    make (root, line[0], line + 2, target);
  }
  if (lines[n] && path_is_fair (lines[n]))
    compare (root, lines[n]);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char dir[] = "/dev/shm/pfs-fuzz-XXXXXX";

  if (size > 8192)
    return -1;
  MUST (mkdtemp (dir));
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", LINES_MAX + 1);
  pfs_autofd root = open (dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  MUST (root >= 0);
  run (root, lines);
  nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}
