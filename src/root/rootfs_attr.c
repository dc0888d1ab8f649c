/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes of a peer's files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

/* root/ itself shows which callers may enter it: the kernel's rule for /proc/<pid>/root, not the mode of the peer's
 * "/". Its number is the one in its parent's listing, which opens nothing. */
static int
gate_attr (PfsNode *node, struct stat *ret)
{
  g_autoptr (PfsProcess) process = NULL;
  g_autoptr (PfsDirFd) top = NULL;
  g_auto (PfsFound) found = { .mount = NULL };
  struct stat start;
  uid_t uid;
  gid_t gid;

  int r = pfs_rootfs_process (pfs_rootfs_of (node), &process);
  if (r == 0)
    r = pfs_process_owner (process, &uid, &gid);
  if (r < 0)
    return r == -ESRCH ? -ESTALE : r;
  r = pfs_rootfs_dir_of (node, process, &top);
  if ((r == -EACCES || r == -EPERM) && fstat (process->fd, &start) == 0) {
    pfs_node_stat (node, S_IFDIR | 0700, uid, gid, 0, &start.st_mtim, ret);
    return 0;
  }
  if (r == 0)
    r = pfs_rootfs_statx (pfs_rootfs_of (node), top->fd, "", false, &found);
  if (r < 0)
    return r;
  pfs_rootfs_attr (&found.st, ret);
  ret->st_ino = pfs_node_ino (node);
  ret->st_mode = S_IFDIR | 0700;
  ret->st_uid = uid;
  ret->st_gid = gid;
  return 0;
}

static int
statx_as (PfsNode *node, int dirfd, const char *name, const PfsCaller *who, PfsFound *ret)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  return r < 0 ? r : pfs_rootfs_statx (pfs_rootfs_of (node), dirfd, name, true, ret);
}

/* The caller came to the node by a path that it may search. The path that we know may be another one, which is closed
 * to it. */
static int
attr_by_path (PfsNode *node, const PfsCaller *who, struct stat *ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  g_autofree char *name = NULL;
  g_auto (PfsFound) found = { .mount = NULL };

  int r = pfs_rootfs_parent (node, &dirfd, &name);
  if (r < 0)
    return r;
  /* There are file systems that refuse root, and some that answer one caller otherwise than another. */
  bool remote = pfs_node_mount (node).remote;
  r = statx_as (node, dirfd->fd, name, remote ? who : &pfs_caller_self, &found);
  if (r == -EACCES || r == -EPERM)
    r = statx_as (node, dirfd->fd, name, remote ? &pfs_caller_self : who, &found);
  r = pfs_rootfs_own (node, r, &found);
  if (r < 0)
    return r;
  pfs_rootnode_attr (pfs_rootnode (node), &found.st, ret);
  if (!pfs_rootfs_has_own_nodes (node->tree, found.st.stx_mode & S_IFMT))
    return 0;

  g_autofree char *target = NULL;
  r = pfs_rootfs_readlink (node, who, &target);
  if (r < 0 && r != -ENAMETOOLONG)
    return r;
  pfs_rootfs_link_attr (dirfd->fd, target, ret);
  return 0;
}

int
pfs_rootfs_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  g_autoptr (PfsFile) open_file = NULL;
  g_auto (PfsFound) found = { .mount = NULL };

  if (node->flags & PFS_ROOTNODE_TOP)
    return gate_attr (node, ret);
  open_file = file ? pfs_file_ref (file) : pfs_rootfs_any_file (node);
  if (!open_file)
    return attr_by_path (node, who, ret);
  int r = statx_as (node, open_file->fd, "", open_file->file_flags & PFS_FILE_AS_CALLER ? who : &pfs_caller_self,
                    &found);
  /* Only then: at the container's end another descriptor takes its place. */
  int gone = pfs_rootfs_check (pfs_rootfs_of (node));
  if (r < 0 || gone < 0)
    return gone < 0 ? gone : r;
  pfs_rootnode_attr (pfs_rootnode (node), &found.st, ret);
  return 0;
}

double
pfs_node_attr_timeout (const PfsNode *node, const struct stat *attr)
{
  if (!node->ops->fs || (node->flags & PFS_ROOTNODE_TOP))
    return pfs_node_attr_life (node);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);
  return pfs_rootfs_attr_timeout (node->tree, ((const PfsRootNode *) node)->mount, attr->st_mode);
}

/* Only ftruncate(2) sets the times also if the size stays the same. */
static int
set_size (PfsNode *node, PfsFile *file, int fd, off_t size)
{
  char path[32];

  if (file && (file->flags & O_ACCMODE) != O_RDONLY)
    return ftruncate (file->fd, size) < 0 ? pfs_file_error (file, -errno) : 0;
  if (!S_ISREG (PFS_ROOTNODE_TYPE (pfs_rootnode (node))))
    return S_ISDIR (PFS_ROOTNODE_TYPE (pfs_rootnode (node))) ? -EISDIR : -EINVAL;
  g_snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return truncate (path, size) < 0 ? -errno : 0;
}

static int
set_times (int fd, const struct stat *attr, unsigned int set)
{
  struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

  if (set & PFS_SET_ATIME_NOW)
    times[0].tv_nsec = UTIME_NOW;
  else if (set & PFS_SET_ATIME)
    times[0] = attr->st_atim;
  if (set & PFS_SET_MTIME_NOW)
    times[1].tv_nsec = UTIME_NOW;
  else if (set & PFS_SET_MTIME)
    times[1] = attr->st_mtim;
  return utimensat (fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int
set_owner (int fd, const struct stat *attr, unsigned int set)
{
  uid_t uid = set & PFS_SET_UID ? attr->st_uid : (uid_t) -1;
  gid_t gid = set & PFS_SET_GID ? attr->st_gid : (gid_t) -1;

  return fchownat (fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static bool
only_drops_setid (int fd, mode_t mode)
{
  struct stat st;

  return fstat (fd, &st) == 0 && (mode & 07777) == (st.st_mode & mode & 07777)
         && !((st.st_mode ^ mode) & 07777 & ~(mode_t) (S_ISUID | S_ISGID));
}

/* Before a write, truncation or change of owner the kernel may ask to drop the setuid and setgid bits. It does so in
 * the name of a caller that is not the owner. There is nothing to do: what follows is done as the caller, and drops
 * them. For the same reason a mode that comes along with an owner or a size does not count. */
static int
set_mode (PfsTree *tree, int fd, mode_t mode)
{
  char number[PFS_FD_NAME_MAX];

  if (fchmodat (tree->roots->self_fds, pfs_fd_name (fd, number), mode & 07777, 0) == 0)
    return 0;
  int r = -errno;
  return r == -EPERM && only_drops_setid (fd, mode) ? 0 : r;
}

int
pfs_rootfs_setattr (PfsNode *node, PfsFile *file, const struct stat *attr, unsigned int set, const PfsCaller *who,
                    struct stat *ret)
{
  if (node->tree->options.read_only)
    return -EROFS;
  if ((node->flags & PFS_ROOTNODE_TOP) && (set & (PFS_SET_MODE | PFS_SET_UID | PFS_SET_GID)))
    return -EPERM;
  pfs_autofd fd = pfs_rootfs_open_path (node, file, NULL);
  if (fd < 0)
    return fd;
  int r;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    r = pfs_creds_take (who, &as);
    if (r == 0 && (set & (PFS_SET_UID | PFS_SET_GID)))
      r = set_owner (fd, attr, set);
    if (r == 0 && (set & PFS_SET_MODE) && !(set & (PFS_SET_UID | PFS_SET_GID | PFS_SET_SIZE)))
      r = set_mode (node->tree, fd, attr->st_mode);
    if (r == 0 && (set & PFS_SET_SIZE))
      r = set_size (node, file, fd, attr->st_size);
    if (r == 0 && (set & (PFS_SET_ATIME | PFS_SET_MTIME | PFS_SET_ATIME_NOW | PFS_SET_MTIME_NOW)))
      r = set_times (fd, attr, set);
  }
  pfs_rootfs_refresh (node, fd);
  if (r == -EEXIST && !file) /* of an overlay, as in pfs_rootfs_open() */
    return -ESTALE;
  return r < 0 ? r : pfs_rootfs_getattr (node, file, who, ret);
}

int
pfs_rootfs_statfs (PfsNode *node, const PfsCaller *who, struct statvfs *ret)
{
  pfs_autofd fd = pfs_rootfs_open_path (node, NULL, NULL);
  if (fd < 0)
    return fd;
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  return fstatvfs (fd, ret) < 0 ? -errno : 0;
}
