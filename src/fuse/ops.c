/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of requests, and those about names and attributes. */
#include "ops.h"

#include <errno.h>
#include <string.h>

#include "libfuse.h"
#include "passthrough.h"
#include "request.h"
#include "trim.h"
#include "private.h"

G_STATIC_ASSERT (PFS_SET_MODE == FUSE_SET_ATTR_MODE);
G_STATIC_ASSERT (PFS_SET_UID == FUSE_SET_ATTR_UID);
G_STATIC_ASSERT (PFS_SET_GID == FUSE_SET_ATTR_GID);
G_STATIC_ASSERT (PFS_SET_SIZE == FUSE_SET_ATTR_SIZE);
G_STATIC_ASSERT (PFS_SET_ATIME == FUSE_SET_ATTR_ATIME);
G_STATIC_ASSERT (PFS_SET_MTIME == FUSE_SET_ATTR_MTIME);
G_STATIC_ASSERT (PFS_SET_ATIME_NOW == FUSE_SET_ATTR_ATIME_NOW);
G_STATIC_ASSERT (PFS_SET_MTIME_NOW == FUSE_SET_ATTR_MTIME_NOW);

static void
op_init (void *userdata, struct fuse_conn_info *conn)
{
  PfsSession *session = userdata;

  /* Every listing brings the attributes along: `find`, `ls` and `tar` ask for them next. */
  if (conn->capable & FUSE_CAP_READDIRPLUS)
    conn->want = (conn->want | FUSE_CAP_READDIRPLUS) & ~(unsigned int) FUSE_CAP_READDIRPLUS_AUTO;
  if (session->options->allow_other && (conn->capable & FUSE_CAP_POSIX_ACL))
    conn->want |= FUSE_CAP_POSIX_ACL;
  /* Whether a umask applies depends on the directory's default ACL, which the kernel does not look at. */
  if (conn->capable & FUSE_CAP_DONT_MASK)
    conn->want |= FUSE_CAP_DONT_MASK;
  /* Every change is made as its caller, so that the peer's file system drops setuid bits and file capabilities as it
   * does for him; else the kernel would ask for a chmod that he may not do. */
  conn->want |= conn->capable & pfs_libfuse_wanted ();
  pfs_tree_set_handles (session->tree, pfs_libfuse_handles (conn));
  /* What the kernel sends without waiting, releases among it, has one bound for all callers: it must not be used up by
   * those who read ahead, or asynchronously, where nobody answers. What waits of one container is bounded by us. */
  conn->max_background = UINT16_MAX;
  conn->congestion_threshold = UINT16_MAX;
  if (session->options->passthrough)
    session->passthrough = pfs_passthrough_new (conn);
  fuse_log (FUSE_LOG_INFO, "event=mounted mountpoint=%s passthrough=%s libfuse=%s\n", session->mountpoint,
            session->passthrough ? "on" : "off", fuse_pkgversion ());
}

static void
op_lookup (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = dir->ops->lookup ? dir->ops->lookup (dir, name, &requester.who, &entry) : -ENOTDIR;
  pfs_reply_entry (req, r, &entry);
}

static void
op_forget (fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
  if (ino != FUSE_ROOT_ID)
    pfs_node_forget (pfs_request_node (req, ino), nlookup);
  pfs_trim_forgot (pfs_request_session (req), 1);
  fuse_reply_none (req);
}

static void
op_forget_multi (fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
  for (size_t i = 0; i < count; i++)
    if (forgets[i].ino != FUSE_ROOT_ID)
      pfs_node_forget (pfs_request_node (req, forgets[i].ino), forgets[i].nlookup);
  pfs_trim_forgot (pfs_request_session (req), count);
  fuse_reply_none (req);
}

static void
op_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  PfsNode *node = pfs_request_node (req, ino);
  struct stat attr;

  int r = fi ? 0 : pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->getattr (node, pfs_request_file (fi), &requester.who, &attr);
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_attr (req, &attr, pfs_node_attr_timeout (node, &attr));
}

static void
op_setattr (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);
  struct stat now;

  int r = fi ? 0 : pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->fs
            ? node->ops->fs->setattr (node, pfs_request_file (fi), attr, (unsigned int) set, &requester.who, &now)
            : -EROFS;
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_attr (req, &now, pfs_node_attr_timeout (node, &now));
}

static void
op_readlink (fuse_req_t req, fuse_ino_t ino)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  PfsNode *node = pfs_request_node (req, ino);
  g_autofree char *target = NULL;

  int r = pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->readlink ? node->ops->readlink (node, &requester.who, &target) : -EINVAL;
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_readlink (req, target);
}

static void
op_statfs (fuse_req_t req, fuse_ino_t ino)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  PfsNode *node = pfs_request_node (req, ino);
  struct statvfs fs = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };

  int r = pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->fs ? node->ops->fs->statfs (node, &requester.who, &fs) : 0;
  if (r < 0)
    pfs_reply (req, r);
  else
    fuse_reply_statfs (req, &fs);
}

const struct fuse_lowlevel_ops pfs_ops = {
  .init = op_init,
  .lookup = op_lookup,
  .forget = op_forget,
  .forget_multi = op_forget_multi,
  .getattr = op_getattr,
  .setattr = op_setattr,
  .readlink = op_readlink,
  .statfs = op_statfs,
  .opendir = pfs_op_opendir,
  .readdir = pfs_op_readdir,
  .readdirplus = pfs_op_readdirplus,
  .releasedir = pfs_op_release,
  .fsyncdir = pfs_op_fsync,
  .open = pfs_op_open,
  .create = pfs_op_create,
  .read = pfs_op_read,
  .write = pfs_op_write,
  .flush = pfs_op_flush,
  .getlk = pfs_op_getlk,
  .setlk = pfs_op_setlk,
  .flock = pfs_op_flock,
  .release = pfs_op_release,
  .fsync = pfs_op_fsync,
  .fallocate = pfs_op_fallocate,
  .lseek = pfs_op_lseek,
  .copy_file_range = pfs_op_copy_file_range,
  .mknod = pfs_op_mknod,
  .mkdir = pfs_op_mkdir,
  .symlink = pfs_op_symlink,
  .link = pfs_op_link,
  .unlink = pfs_op_unlink,
  .rmdir = pfs_op_rmdir,
  .rename = pfs_op_rename,
  .getxattr = pfs_op_getxattr,
  .listxattr = pfs_op_listxattr,
  .setxattr = pfs_op_setxattr,
  .removexattr = pfs_op_removexattr,
};
