/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole tree as text. Hard links show as the first path of the same inode number. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fsdiff.h"

#define FILES_MAX 4096

typedef struct {
  FILE *out;
  size_t n;
  dev_t dev[FILES_MAX];
  ino_t ino[FILES_MAX];
  char *path[FILES_MAX];
} Walk;

static const char *
first_path (Walk *walk, const struct stat *st, const char *path)
{
  for (size_t i = 0; i < walk->n; i++)
    if (walk->dev[i] == st->st_dev && walk->ino[i] == st->st_ino)
      return walk->path[i];
  if (walk->n == FILES_MAX)
    return "?";
  walk->dev[walk->n] = st->st_dev;
  walk->ino[walk->n] = st->st_ino;
  return walk->path[walk->n++] = strdup (path);
}

static void
show_content (Walk *walk, int dirfd, const char *name)
{
  static unsigned char bytes[65536];
  uint64_t hash = 0;
  ssize_t n;
  int fd = openat (dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0) {
    fprintf (walk->out, " content=%s", errno_name (errno));
    return;
  }
  while ((n = read (fd, bytes, sizeof bytes)) > 0)
    hash = hash_bytes (hash, bytes, (size_t) n);
  fprintf (walk->out, " content=#%016llx%s", (unsigned long long) hash, n < 0 ? errno_name (errno) : "");
  close (fd);
}

static int
compare (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
show_xattrs (Walk *walk, int dirfd, const char *name)
{
  static char list[65536], value[65536];
  char path[64], *names[256];
  size_t n_names = 0;
  int fd = openat (dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t n = listxattr (path, list, sizeof list);
  for (ssize_t at = 0; at < n && n_names < 256; at += (ssize_t) strlen (list + at) + 1)
    names[n_names++] = list + at;
  qsort (names, n_names, sizeof *names, compare);
  for (size_t i = 0; i < n_names; i++) {
    ssize_t length = getxattr (path, names[i], value, sizeof value);
    fprintf (walk->out, " %s=%zd#%llx", names[i], length,
             (unsigned long long) hash_bytes (0, value, length > 0 ? (size_t) length : 0));
  }
  close (fd);
}

static void
show_one (Walk *walk, int dirfd, const char *name, const char *path, const struct stat *st)
{
  Text attributes = { 0 };
  char target[4096];

  say_stat (&attributes, st);
  fprintf (walk->out, "%s%s same=%s", path, attributes.text, first_path (walk, st, path));
  if (S_ISLNK (st->st_mode)) {
    ssize_t n = readlinkat (dirfd, name, target, sizeof target);
    fprintf (walk->out, " -> %.*s", n > 0 ? (int) n : 0, target);
  }
  if (S_ISREG (st->st_mode))
    show_content (walk, dirfd, name);
  if (!S_ISLNK (st->st_mode))
    show_xattrs (walk, dirfd, name);
  fputc ('\n', walk->out);
}

static int
compare_entries (const struct dirent **a, const struct dirent **b)
{
  return strcmp ((*a)->d_name, (*b)->d_name);
}

static void
walk_directory (Walk *walk, int parent, const char *name, const char *path)
{
  struct dirent **entries;
  int fd = openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int n = fd < 0 ? -1 : scandirat (fd, ".", &entries, NULL, compare_entries);

  if (n < 0)
    fprintf (walk->out, "%s: %s\n", path, errno_name (errno));
  for (int i = 0; i < n; i++) {
    const char *entry = entries[i]->d_name;
    struct stat st;

    if (strcmp (entry, ".") != 0 && strcmp (entry, "..") != 0) {
      char *below = NULL;
      if (asprintf (&below, "%s/%s", path, entry) < 0)
        abort ();
      if (fstatat (fd, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fprintf (walk->out, "%s: %s\n", below, errno_name (errno));
      else
        show_one (walk, fd, entry, below, &st);
      if (S_ISDIR (st.st_mode))
        walk_directory (walk, fd, entry, below);
      free (below);
    }
    free (entries[i]);
  }
  if (n >= 0)
    free (entries);
  if (fd >= 0)
    close (fd);
}

char *
tree_text (int dirfd)
{
  Walk *walk = calloc (1, sizeof *walk);
  char *text = NULL;
  size_t length;

  walk->out = open_memstream (&text, &length);
  walk_directory (walk, dirfd, ".", "");
  fclose (walk->out);
  for (size_t i = 0; i < walk->n; i++)
    free (walk->path[i]);
  free (walk);
  return text;
}
