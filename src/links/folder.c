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

#define NEW ".new" /* a link before it gets its name */

int
pfs_folder_open (int dirfd, const char *name, mode_t mode, int *ret)
{
  struct stat st;

  if (mkdirat (dirfd, name, mode) < 0 && errno != EEXIST)
    return -errno;
  pfs_autofd fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &st) < 0)
    return -errno;
  if (st.st_uid != geteuid () || (st.st_mode & 077 & ~mode))
    return -EPERM;
  *ret = pfs_fd_steal (&fd);
  return 0;
}

static int
put_link (int dirfd, const char *name, const char *target)
{
  unlinkat (dirfd, NEW, 0); /* of a killed run */
  if (symlinkat (target, dirfd, NEW) < 0)
    return -errno;
  int r = renameat (dirfd, NEW, dirfd, name) < 0 ? -errno : 0;
  if (r < 0)
    unlinkat (dirfd, NEW, 0);
  return r;
}

static int
set_link (int dirfd, const char *path, const char *target)
{
  const char *slash = strchr (path, '/');
  int fd;

  if (!slash && target)
    return put_link (dirfd, path, target);
  if (!slash)
    return unlinkat (dirfd, path, 0) < 0 ? -errno : 0;
  g_autofree char *name = g_strndup (path, (gsize) (slash - path));
  int r = pfs_folder_open (dirfd, name, 0755, &fd);
  if (r < 0)
    return r;
  pfs_autofd below = fd;
  r = set_link (below, slash + 1, target);
  if (r < 0 || !target)
    unlinkat (dirfd, name, AT_REMOVEDIR);
  return r;
}

int
pfs_folder_set_link (int dirfd, const char *path, const char *target)
{
  guint depth = 1;

  for (const char *p = path; *p; p++)
    depth += *p == '/';
  return depth > PFS_FOLDER_DEPTH_MAX ? -ENAMETOOLONG : set_link (dirfd, path, target);
}

int
pfs_folder_make_text (int dirfd, const char *name, const char *text)
{
  size_t len = strlen (text);
  pfs_autofd fd = openat (dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  ssize_t written = fd < 0 ? -1 : write (fd, text, len);

  if (written < 0)
    return -errno;
  return written == (ssize_t) len ? 0 : -ENOSPC;
}

GPtrArray *
pfs_folder_names (int dirfd)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir (copy);

  if (!dir)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  for (const struct dirent *entry; (entry = readdir (dir));)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (dir);
  return names;
}

int
pfs_folder_remove (int dirfd, const char *name)
{
  if (unlinkat (dirfd, name, 0) == 0 || errno == ENOENT)
    return 0;
  pfs_autofd fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autoptr (GPtrArray) names = fd < 0 ? NULL : pfs_folder_names (fd);
  if (!names)
    return -errno;
  int result = 0;
  for (guint i = 0; i < names->len; i++) {
    int r = pfs_folder_remove (fd, names->pdata[i]);
    result = result < 0 ? result : r;
  }
  if (result == 0 && unlinkat (dirfd, name, AT_REMOVEDIR) < 0)
    result = -errno;
  return result;
}
