/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peerfs/base/fd.h"

#define NEW ".new" /* a file or link before it gets its name */

static int
negative (int r)
{
  return r < 0 ? -errno : 0;
}

int
pfs_folder_open (int dirfd, const char *name, bool secret, int *ret)
{
  struct stat st;

  if (mkdirat (dirfd, name, secret ? 0700 : 0755) < 0 && errno != EEXIST)
    return -errno;
  pfs_autofd fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0)
    return -errno;
  if (st.st_uid != geteuid () || (st.st_mode & (secret ? 077 : 022)))
    return -EPERM;
  *ret = pfs_fd_steal (&fd);
  return 0;
}

/* A killed run may have left NEW. */
static int
put (int dirfd, const char *name)
{
  int r = negative (renameat (dirfd, NEW, dirfd, name));
  if (r < 0)
    unlinkat (dirfd, NEW, 0);
  return r;
}

static bool
is_link_to (int dirfd, const char *name, const char *target)
{
  size_t len = strlen (target);
  g_autofree char *text = g_malloc (len + 1);

  return readlinkat (dirfd, name, text, len + 1) == (ssize_t) len && memcmp (text, target, len) == 0;
}

int
pfs_folder_put_link (int dirfd, const char *name, const char *target)
{
  if (is_link_to (dirfd, name, target))
    return 0;
  unlinkat (dirfd, NEW, 0);
  if (symlinkat (target, dirfd, NEW) < 0)
    return -errno;
  return put (dirfd, name);
}

int
pfs_folder_put_text (int dirfd, const char *name, const char *text)
{
  size_t len = strlen (text);

  unlinkat (dirfd, NEW, 0);
  pfs_autofd fd = openat (dirfd, NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
  if (fd < 0)
    return -errno;
  ssize_t written = write (fd, text, len);
  if (written != (ssize_t) len || fchmod (fd, 0444) < 0) {
    int r = written < 0 || written == (ssize_t) len ? -errno : -ENOSPC;
    unlinkat (dirfd, NEW, 0);
    return r;
  }
  return put (dirfd, name);
}

int
pfs_folder_put_link_below (int dirfd, const char *path, const char *target)
{
  g_auto (GStrv) names = g_strsplit (path, "/", PFS_FOLDER_DEPTH_MAX + 1);
  guint n = g_strv_length (names);
  pfs_autofd dir = -1;

  if (n == 0 || n > PFS_FOLDER_DEPTH_MAX)
    return -ENAMETOOLONG;
  for (guint i = 0; i + 1 < n; i++) {
    int next = -1;
    int r = pfs_folder_open (dir < 0 ? dirfd : dir, names[i], false, &next);
    if (r < 0)
      return r;
    pfs_fd_cleanup (&dir);
    dir = next;
  }
  return pfs_folder_put_link (dir < 0 ? dirfd : dir, names[n - 1], target);
}

void
pfs_folder_remove_link_below (int dirfd, const char *path)
{
  const char *slash = strchr (path, '/');

  if (!slash) {
    unlinkat (dirfd, path, 0);
    return;
  }
  g_autofree char *name = g_strndup (path, (gsize) (slash - path));
  pfs_autofd below = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (below < 0)
    return;
  pfs_folder_remove_link_below (below, slash + 1);
  unlinkat (dirfd, name, AT_REMOVEDIR);
}

int
pfs_folder_foreach (int dirfd, void (*func) (const char *name, gpointer data), gpointer data)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir (copy);

  if (!dir)
    return -errno;
  for (const struct dirent *entry; (entry = readdir (dir));)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      func (entry->d_name, data);
  closedir (dir);
  return 0;
}

typedef struct {
  int dirfd;
  guint depth;
  int r;
} Removal;

static void
remove_entry (const char *name, gpointer data)
{
  Removal *above = data;

  if (unlinkat (above->dirfd, name, 0) == 0 || errno == ENOENT)
    return;
  if (above->depth >= 2 * PFS_FOLDER_DEPTH_MAX) {
    above->r = -ELOOP;
    return;
  }
  pfs_autofd fd = openat (above->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  Removal removal = { .dirfd = fd, .depth = above->depth + 1 };
  int r = fd < 0 ? -errno : pfs_folder_foreach (fd, remove_entry, &removal);
  if (r == 0)
    r = removal.r;
  if (r == 0)
    r = negative (unlinkat (above->dirfd, name, AT_REMOVEDIR));
  if (r < 0)
    above->r = r;
}

int
pfs_folder_remove (int dirfd, const char *name)
{
  Removal removal = { .dirfd = dirfd };

  remove_entry (name, &removal);
  return removal.r;
}
