/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that change names, and extended attributes. Only root/ can be changed. */
#include <errno.h>

#include "ops.h"
#include "request.h"
#include "private.h"

void
pfs_op_mknod (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->mknod (dir, name, mode, rdev, &requester.who, &entry) : -EROFS;
  pfs_reply_entry (req, r, &entry);
}

void
pfs_op_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->mkdir (dir, name, mode, &requester.who, &entry) : -EROFS;
  pfs_reply_entry (req, r, &entry);
}

void
pfs_op_symlink (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->symlink (dir, name, target, &requester.who, &entry) : -EROFS;
  pfs_reply_entry (req, r, &entry);
}

void
pfs_op_link (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;

  /* Another container's is another gate. */
  int r = pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = pfs_node_gate (dir, &requester.who);
  if (r == 0 && !dir->ops->fs)
    r = -EROFS;
  if (r == 0)
    r = node->ops == dir->ops ? dir->ops->fs->link (node, dir, name, &requester.who, &entry) : -EXDEV;
  pfs_reply_entry (req, r, &entry);
}

static void
remove_name (fuse_req_t req, fuse_ino_t parent, const char *name, bool directory)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->remove (dir, name, directory, &requester.who) : -EROFS;
  pfs_reply (req, r);
}

void
pfs_op_unlink (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  remove_name (req, parent, name, false);
}

void
pfs_op_rmdir (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  remove_name (req, parent, name, true);
}

void
pfs_op_rename (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
               unsigned int flags)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsNode *new_dir = pfs_request_node (req, newparent);

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = pfs_node_gate (new_dir, &requester.who);
  if (r == 0 && !dir->ops->fs)
    r = -EROFS;
  if (r == 0)
    r = dir->ops == new_dir->ops ? dir->ops->fs->rename (dir, name, new_dir, newname, flags, &requester.who) : -EXDEV;
  pfs_reply (req, r);
}

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

void
pfs_op_getxattr (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);
  g_autofree char *value = size ? g_malloc (size) : NULL;
  ssize_t n = pfs_node_gate (node, &requester.who);

  if (n == 0)
    n = !node->ops->fs ? -EOPNOTSUPP : node->ops->fs->getxattr (node, name, value, size, &requester.who);
  /* Where the kernel checks ACLs it takes any other answer than "there is none" for a refusal. */
  if (n == -EOPNOTSUPP && g_str_has_prefix (name, "system.posix_acl_"))
    n = -ENODATA;
  reply_xattr (req, n, size, value);
}

void
pfs_op_listxattr (fuse_req_t req, fuse_ino_t ino, size_t size)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);
  g_autofree char *list = size ? g_malloc (size) : NULL;
  ssize_t n = pfs_node_gate (node, &requester.who);

  if (n == 0 && node->ops->fs)
    n = node->ops->fs->listxattr (node, list, size, &requester.who);
  reply_xattr (req, n, size, list);
}

void
pfs_op_setxattr (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);

  int r = pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->fs ? node->ops->fs->setxattr (node, name, value, size, flags, &requester.who) : -EOPNOTSUPP;
  pfs_reply (req, r);
}

void
pfs_op_removexattr (fuse_req_t req, fuse_ino_t ino, const char *name)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *node = pfs_request_node (req, ino);

  int r = pfs_node_gate (node, &requester.who);
  if (r == 0)
    r = node->ops->fs ? node->ops->fs->removexattr (node, name, &requester.who) : -EOPNOTSUPP;
  pfs_reply (req, r);
}
