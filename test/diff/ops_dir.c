/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listings. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsdiff.h"

#define NAMES_MAX 256

typedef struct {
  size_t n;
  char *name[NAMES_MAX];
  unsigned char type[NAMES_MAX];
} Names;

static int
compare (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Each name with its type in front, so that sorting keeps them together. */
static void
add (Names *names, const struct dirent *d)
{
  char line[300];

  if (names->n == NAMES_MAX)
    return;
  line[0] = d->d_type == DT_DIR    ? 'd'
            : d->d_type == DT_REG  ? 'f'
            : d->d_type == DT_LNK  ? 'l'
            : d->d_type == DT_FIFO ? 'p'
                                   : '?';
  strncpy (line + 1, d->d_name, sizeof line - 2);
  line[sizeof line - 1] = 0;
  names->name[names->n++] = strdup (line);
}

static void
show (Names *names, Text *text)
{
  uint64_t hash = 0;

  qsort (names->name, names->n, sizeof *names->name, compare);
  for (size_t i = 0; i < names->n; i++) {
    if (strlen (names->name[i]) < 20)
      say (text, " %s", names->name[i]);
    hash = hash_bytes (hash, names->name[i], strlen (names->name[i]));
  }
  say (text, " (%zu, #%016llx)", names->n, (unsigned long long) hash);
}

static void
clear (Names *names)
{
  while (names->n > 0)
    free (names->name[--names->n]);
}

static DIR *
open_listing (const Op *op, const char *what, Text *text)
{
  say (text, "%s (%s)", what, path_of (op->path));
  DIR *dir = opendir (path_of (op->path));
  say_result (text, dir ? 0 : -1);
  return dir;
}

/* Through the mount, every number that readdir(3) tells has to be that of stat(2). Directly it may not be: an overlay
 * over several filesystems lists directories with the numbers of the layer (kernel:
 * Documentation/filesystems/overlayfs.rst, "Inode properties"). ".." may be older, as a rename does not renew what the
 * kernel remembers of a listing. */
static bool
number_fits (DIR *dir, const struct dirent *d)
{
  struct stat st;

  if (strcmp (d->d_name, "..") == 0 || fstatat (dirfd (dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return true;
  return st.st_ino == d->d_ino;
}

static void
op_readdir (Side *side, const Op *op, Text *text)
{
  Names names = { 0 };
  const struct dirent *d;
  bool fits = true;

  DIR *dir = open_listing (op, "readdir", text);
  if (!dir)
    return;
  while ((d = readdir (dir))) {
    fits = fits && (!side->mounted || op->r[0] % 4 || number_fits (dir, d));
    add (&names, d);
  }
  closedir (dir);
  show (&names, text);
  clear (&names);
  if (!fits)
    say (text, " with wrong numbers");
}

/* From a place that telldir(3) told, the rest comes a second time as it came the first time. */
static void
op_seekdir (Side *side, const Op *op, Text *text)
{
  Names rest = { 0 }, again = { 0 };
  const struct dirent *d;

  (void) side;
  DIR *dir = open_listing (op, "seekdir", text);
  if (!dir)
    return;
  for (uint32_t i = 0; i < op->r[0] % 6; i++)
    readdir (dir);
  long at = telldir (dir);
  while ((d = readdir (dir)))
    add (&rest, d);
  seekdir (dir, at);
  while ((d = readdir (dir)))
    add (&again, d);
  closedir (dir);
  bool same = rest.n == again.n;
  for (size_t i = 0; same && i < rest.n; i++)
    same = strcmp (rest.name[i], again.name[i]) == 0;
  say (text, same ? " %zu" : " %zu, not the same again", rest.n);
  clear (&rest);
  clear (&again);
}

static void
op_rewinddir (Side *side, const Op *op, Text *text)
{
  Names names = { 0 };
  const struct dirent *d;

  (void) side;
  DIR *dir = open_listing (op, "rewinddir", text);
  if (!dir)
    return;
  readdir (dir);
  say (text, " unlinkat (%s)", path_of (op->path2));
  say_result (text, unlink (path_of (op->path2)));
  rewinddir (dir);
  while ((d = readdir (dir)))
    add (&names, d);
  closedir (dir);
  show (&names, text);
  clear (&names);
}

static void
op_fsync_dir (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "fsync (%s)", path_of (op->path));
  int fd = open (path_of (op->path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  say_result (text, fd < 0 ? -1 : fsync (fd));
  if (fd >= 0)
    close (fd);
}

const Kind kinds_dir[] = {
  { "readdir", op_readdir, 10, false },
  { "seekdir", op_seekdir, 3, false },
  { "rewinddir", op_rewinddir, 2, false },
  { "fsync_dir", op_fsync_dir, 1, false },
  { NULL, NULL, 0, false },
};
