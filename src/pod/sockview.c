/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"
#include "sock.h"

static char *
mount_key (uint64_t parent, const char *point, size_t len)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT ":%.*s", parent, (int) len, point);
}

static void
read_mounts (PfsView *view, GBytes *content)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line)) {
    g_hash_table_insert (view->mounts, mount_key (line.parent_id, line.mount_point, strlen (line.mount_point)),
                         (gpointer) line.id);
    g_hash_table_insert (view->devices, (gpointer) line.id, (gpointer) makedev (line.major, line.minor));
    if (pfs_mount_type_remote (line.fstype))
      g_hash_table_add (view->remote, g_strdup (line.mount_point));
  }
}

int
pfs_view_open_root (int pid_fd, uint64_t *ret_mount, uint64_t *ret_inode)
{
  pfs_autofd fd = openat (pid_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct statx st;

  if (fd < 0 || statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_INO, &st) < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  *ret_mount = st.stx_mnt_id;
  *ret_inode = st.stx_ino;
  return pfs_fd_steal (&fd);
}

int
pfs_view_new (int pid_fd, PfsView **ret)
{
  g_autoptr (PfsView) view = g_new0 (PfsView, 1);
  g_autoptr (GBytes) mounts = NULL;

  view->mounts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  view->devices = g_hash_table_new (NULL, NULL);
  view->remote = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  int r = view->root_fd = pfs_view_open_root (pid_fd, &view->mount, &view->inode);
  if (r >= 0)
    r = pfs_readlink_at (pid_fd, "root", &view->root);
  if (r >= 0)
    r = pfs_read_prefix_at (pid_fd, "mountinfo", PFS_MOUNTINFO_MAX, &mounts);
  if (r < 0)
    return r == -ENOENT || r == -EINVAL ? -ESRCH : r;
  if (strcmp (view->root, "/") == 0)
    view->root[0] = '\0';
  read_mounts (view, mounts);
  *ret = g_steal_pointer (&view);
  return 0;
}

void
pfs_view_free (PfsView *view)
{
  pfs_fd_cleanup (&view->root_fd);
  g_hash_table_unref (view->mounts);
  g_hash_table_unref (view->devices);
  g_hash_table_unref (view->remote);
  g_free (view->root);
  g_free (view);
}

const char *
pfs_view_below (const PfsView *view, const char *text)
{
  size_t len = strlen (view->root);

  if (text[0] != '/' || strncmp (text, view->root, len) != 0 || (text[len] != '/' && text[len] != '\0'))
    return NULL;
  return text[len] == '/' && !text[len + 1] ? text + len + 1 : text + len;
}

/* What a walk would cross: at each component the mounts on it, one over the other. A mount over the root itself is
 * crossed by no walk that begins there. */
const char *
pfs_view_path (const PfsView *view, const char *text, uint64_t mount)
{
  const char *path = pfs_view_below (view, text);
  uint64_t at = view->mount;

  if (!path || !*path)
    return NULL;
  for (size_t len = 1; path[len - 1]; len++) {
    if (path[len] != '/' && path[len] != '\0')
      continue;
    for (;;) {
      g_autofree char *key = mount_key (at, path, len);
      gpointer next = g_hash_table_lookup (view->mounts, key);
      if (!next)
        break;
      at = (uintptr_t) next;
    }
  }
  return at == mount ? path : NULL;
}
