/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of requests, and those about names and attributes. */
#include <errno.h>
#include <string.h>

#include "peerfs/tree/tree.h"
#include "request.h"
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
  /* Every change is made as its caller, so that the peer's file system drops setuid bits and file capabilities. Else
   * the kernel would ask for a chmod that the caller may not do. With V2 the kernel remembers that a file has no
   * capabilities; else it asks for that attribute before every write. */
  conn->want |= conn->capable & (FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_HANDLE_KILLPRIV_V2);
  /* Without export a file handle opens nothing (open_by_handle_at(2)): it would pass by the folders above the file. */
  conn->want |= conn->capable & FUSE_CAP_NO_EXPORT_SUPPORT;
  session->tree->handles = !(conn->want & FUSE_CAP_NO_EXPORT_SUPPORT);
  /* What one request reads or writes. Each that waits for a slow disk takes so much of our memory. */
  conn->max_write = PFS_IO_MAX;
  /* What the kernel sends without waiting, releases among it, has one bound for all callers. Callers that read ahead,
   * or asynchronously, on a mount that does not answer must not use it up. We bound what waits of one container. */
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
  g_auto (PfsCall) call = pfs_call_reading (req, parent, NULL);
  const PfsNodeOps *ops = call.node->ops;
  PfsEntry entry;

  if (call.r == 0)
    call.r = ops->lookup ? ops->lookup (call.node, name, &call.who, &entry) : -ENOTDIR;
  pfs_reply_entry (&call, &entry);
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
op_forget (fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
  struct fuse_forget_data one = { .ino = ino, .nlookup = nlookup };

  op_forget_multi (req, 1, &one);
}

static void
op_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, fi);
  struct stat attr = { 0 };

  if (call.r == 0)
    call.r = call.node->ops->getattr (call.node, pfs_request_file (fi), &call.who, &attr);
  pfs_reply_attr (&call, &attr);
}

static void
op_setattr (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, fi, -EROFS);
  struct stat now = { 0 };

  if (call.r == 0)
    call.r = pfs_rootfs_setattr (call.node, pfs_request_file (fi), attr, (unsigned int) set, &call.who, &now);
  pfs_reply_attr (&call, &now);
}

static void
op_readlink (fuse_req_t req, fuse_ino_t ino)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, NULL);
  const PfsNodeOps *ops = call.node->ops;
  g_autofree char *target = NULL;

  if (call.r == 0)
    call.r = ops->readlink ? ops->readlink (call.node, &call.who, &target) : -EINVAL;
  if (call.r < 0)
    pfs_reply (req, call.r);
  else
    fuse_reply_readlink (req, target);
}

static void
op_statfs (fuse_req_t req, fuse_ino_t ino)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, NULL);
  struct statvfs said = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };

  if (call.r == 0 && call.node->ops->fs)
    call.r = pfs_rootfs_statfs (call.node, &call.who, &said);
  if (call.r < 0)
    pfs_reply (req, call.r);
  else
    fuse_reply_statfs (req, &said);
}

/* --- changes of names: only in root/ --- */

static void
make (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev, const char *target)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);
  PfsEntry entry;

  if (call.r == 0)
    call.r = pfs_rootfs_make (call.node, name, mode, rdev, target, &call.who, &entry);
  pfs_reply_entry (&call, &entry);
}

static void
op_mknod (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
  make (req, parent, name, mode, rdev, NULL);
}

static void
op_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
  make (req, parent, name, S_IFDIR | mode, 0, NULL);
}

static void
op_symlink (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
  make (req, parent, name, S_IFLNK | 0777, 0, target);
}

/* A change that another node takes part in. What is another container's has another gate. */
static void
ask_other (PfsCall *call, const PfsNode *other)
{
  if (call->r == 0)
    call->r = pfs_node_gate ((PfsNode *) other, &call->who);
  if (call->r == 0 && other->ops != call->node->ops)
    call->r = -EXDEV;
}

static void
op_link (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);
  PfsNode *node = pfs_request_node (req, ino);
  PfsEntry entry;

  ask_other (&call, node);
  if (call.r == 0)
    call.r = pfs_rootfs_link (node, call.node, name, &call.who, &entry);
  pfs_reply_entry (&call, &entry);
}

static void
op_rename (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
           unsigned int flags)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);
  PfsNode *new_dir = pfs_request_node (req, newparent);

  ask_other (&call, new_dir);
  if (call.r == 0)
    call.r = pfs_rootfs_rename (call.node, name, new_dir, newname, flags, &call.who);
  pfs_reply (req, call.r);
}

static void
remove_name (fuse_req_t req, fuse_ino_t parent, const char *name, bool directory)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);

  if (call.r == 0)
    call.r = pfs_rootfs_remove (call.node, name, directory, &call.who);
  pfs_reply (req, call.r);
}

static void
op_unlink (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  remove_name (req, parent, name, false);
}

static void
op_rmdir (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  remove_name (req, parent, name, true);
}

/* --- extended attributes: the same --- */

/* With size 0 only the length is wanted. */
static void
reply_xattr (fuse_req_t req, ssize_t n, size_t size, const char *value)
{
  if (n < 0)
    pfs_reply (req, (int) n);
  else if (size == 0)
    fuse_reply_xattr (req, (size_t) n);
  else
    fuse_reply_buf (req, value, (size_t) n);
}

static void
op_getxattr (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, NULL, -EOPNOTSUPP);
  g_autofree char *value = size ? g_malloc (size) : NULL;
  ssize_t n = call.r;

  if (n == 0)
    n = pfs_rootfs_xattr (call.node, &(PfsXattr) { PFS_XATTR_GET, .name = name, .out = value, .size = size },
                          &call.who);
  /* If the kernel checks ACLs, it takes any other answer than "there is none" for a refusal. */
  if (n == -EOPNOTSUPP && g_str_has_prefix (name, "system.posix_acl_"))
    n = -ENODATA;
  reply_xattr (req, n, size, value);
}

static void
op_listxattr (fuse_req_t req, fuse_ino_t ino, size_t size)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, NULL, 0);
  g_autofree char *list = size ? g_malloc (size) : NULL;
  ssize_t n = call.r;

  if (n == 0 && call.node->ops->fs)
    n = pfs_rootfs_xattr (call.node, &(PfsXattr) { PFS_XATTR_LIST, .out = list, .size = size }, &call.who);
  reply_xattr (req, n, size, list);
}

static void
change_xattr (fuse_req_t req, fuse_ino_t ino, const PfsXattr *change)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, NULL, -EOPNOTSUPP);

  if (call.r == 0)
    call.r = (int) pfs_rootfs_xattr (call.node, change, &call.who);
  pfs_reply (req, call.r);
}

static void
op_setxattr (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
  change_xattr (req, ino, &(PfsXattr) { PFS_XATTR_SET, .name = name, .value = value, .size = size, .flags = flags });
}

static void
op_removexattr (fuse_req_t req, fuse_ino_t ino, const char *name)
{
  change_xattr (req, ino, &(PfsXattr) { PFS_XATTR_REMOVE, .name = name });
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
#if PFS_LIBFUSE_3_17
  .tmpfile = pfs_op_tmpfile,
#endif
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
  .mknod = op_mknod,
  .mkdir = op_mkdir,
  .symlink = op_symlink,
  .link = op_link,
  .unlink = op_unlink,
  .rmdir = op_rmdir,
  .rename = op_rename,
  .getxattr = op_getxattr,
  .listxattr = op_listxattr,
  .setxattr = op_setxattr,
  .removexattr = op_removexattr,
};
