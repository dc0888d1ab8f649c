/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of a peer, opened: the descriptor is the file's own from here on, also when its name is gone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"
#include "peerfs/base/statx.h"
#include "rootfs_private.h"

/* What of a caller's flags makes sense on the peer's file. Not O_DIRECT: it would ask for aligned buffers of ours. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_NOATIME | O_SYNC | O_DSYNC)

/* The number of a mount, and its device, may be used again after an unmount. Then a procfs may pass for the mount
 * before it. So this asks the file system itself. */
static bool
is_procfs (int fd, const struct statx *st)
{
  struct statfs fs;

  return !(st->stx_mask & STATX_MNT_ID_UNIQUE) && fstatfs (fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

int
pfs_rootfs_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  mode_t type = PFS_ROOTNODE_TYPE (pfs_rootnode (node));
  pfs_autofd fd = -1;
  g_auto (PfsFound) found = { .mount = NULL };
  char number[PFS_FD_NAME_MAX];

  if (!S_ISREG (type))
    return S_ISDIR (type) ? -EISDIR : -ENXIO;
  if (node->tree->options.read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)))
    return -EROFS;
  pfs_autofd path = pfs_rootfs_open_path (node, NULL, &found);
  if (path < 0)
    return path;
  if (is_procfs (path, &found.st))
    return -EACCES;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    bool only_read = (flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
    int r = only_read && pfs_rootfs_owner_may (&found, S_IRUSR, who) ? 0 : pfs_creds_take (who, &as);
    if (r < 0)
      return r;
    /* It is a regular file: nothing makes an open wait but a lease (fcntl(2)), and that it shall, unless the caller
     * says no. */
    fd = openat (node->tree->roots->self_fds, pfs_fd_name (path, number),
                 (flags & (OPEN_FLAGS | O_NONBLOCK)) | O_CLOEXEC);
    /* An overlay does not copy a file up to a name that has been given to another one meanwhile. */
    if (fd < 0)
      return errno == EEXIST ? -ESTALE : -errno;
  }
  if ((flags & O_ACCMODE) != O_RDONLY)
    pfs_rootfs_refresh (node, fd);
  return pfs_rootfs_file_new (node, pfs_fd_steal (&fd), flags, pfs_mount_file_flags (found.mount), ret);
}

int
pfs_file_reopen (const PfsFile *file, int flags, PfsFile **ret)
{
  char number[PFS_FD_NAME_MAX];
  int fd = openat (file->node->tree->roots->self_fds, pfs_fd_name (file->fd, number), flags | O_CLOEXEC);

  return fd < 0 ? -errno : pfs_rootfs_file_new (file->node, fd, flags, file->file_flags, ret);
}

/* The entry and the open file for what was just made; it may be anonymous (name "", O_TMPFILE). */
static int
adopt (PfsNode *dir, int dirfd, const char *name, int newfd, int flags, const PfsCaller *who, PfsEntry *ret,
       PfsFile **ret_file)
{
  pfs_autofd fd = newfd;
  g_auto (PfsFound) found = { .mount = NULL };
  PfsEntry entry;

  int r = pfs_rootfs_statx (pfs_rootfs_of (dir), fd, "", false, &found);
  if (r < 0)
    return r;
  r = pfs_rootfs_entry (dir, dirfd, name, &found, true, who, &entry);
  if (r < 0)
    return r;
  r = pfs_rootfs_file_new (entry.node, pfs_fd_steal (&fd), flags, pfs_mount_file_flags (found.mount), ret_file);
  if (r < 0) {
    pfs_node_unref (entry.node);
    return r;
  }
  *ret = entry;
  return 0;
}

static int
open_as (int dirfd, const char *name, int flags, mode_t mode, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  if (r < 0)
    return r;
  mode = pfs_rootfs_mode (dirfd, mode, who) & 07777;
  int fd = openat (dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
  return fd < 0 ? -errno : fd;
}

/* The name did not exist when the kernel looked; if it does by now it is opened as any other file. */
static int
open_existing (PfsNode *dir, int dirfd, const char *name, int flags, const PfsCaller *who, PfsEntry *ret,
               PfsFile **ret_file)
{
  PfsEntry entry;

  int r = pfs_rootfs_lookup_at (dir, dirfd, name, true, who, who, &entry);
  if (r < 0)
    return r;
  if (entry.node->ops->open && !S_ISLNK (entry.attr.st_mode))
    r = entry.node->ops->open (entry.node, flags, who, ret_file);
  else
    r = -ESTALE;
  if (r == 0 && (flags & O_TRUNC))
    r = entry.node->ops->getattr (entry.node, *ret_file, who, &entry.attr);
  if (r < 0) {
    pfs_node_unref (entry.node);
    return r;
  }
  *ret = entry;
  return 0;
}

int
pfs_rootfs_create (PfsNode *dir, const char *name, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret,
                   PfsFile **ret_file)
{
  g_autoptr (PfsDirFd) dirfd = NULL;

  int r = pfs_rootfs_writable_dir (dir, name, &dirfd);
  if (r < 0)
    return r;
  int fd = open_as (dirfd->fd, name, (flags & OPEN_FLAGS) | O_CREAT | O_EXCL, mode, who);
  if (fd == -EEXIST && !(flags & O_EXCL))
    return open_existing (dir, dirfd->fd, name, flags, who, ret, ret_file);
  if (fd < 0)
    return fd;
  return adopt (dir, dirfd->fd, name, fd, flags, who, ret, ret_file);
}

int
pfs_rootfs_tmpfile (PfsNode *dir, mode_t mode, int flags, const PfsCaller *who, PfsEntry *ret, PfsFile **ret_file)
{
  g_autoptr (PfsDirFd) dirfd = NULL;

  int r = pfs_rootfs_writable_dir (dir, NULL, &dirfd);
  if (r < 0)
    return r;
  int fd = open_as (dirfd->fd, ".", (flags & OPEN_FLAGS) | (flags & O_EXCL) | O_TMPFILE, mode, who);
  if (fd < 0)
    return fd;
  return adopt (dir, dirfd->fd, "", fd, flags, who, ret, ret_file);
}
