/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes, through /proc/self/fd: the calls that take a descriptor refuse one that is O_PATH. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

static ssize_t
call_path (const char *path, const PfsXattr *call)
{
  ssize_t n = -1;

  switch (call->what) {
  case PFS_XATTR_GET:
    n = getxattr (path, call->name, call->out, call->size);
    break;
  case PFS_XATTR_LIST:
    n = listxattr (path, call->out, call->size);
    break;
  case PFS_XATTR_SET:
    n = setxattr (path, call->name, call->value, call->size, call->flags);
    break;
  case PFS_XATTR_REMOVE:
    n = removexattr (path, call->name);
    break;
  }
  return n < 0 ? -errno : n;
}

/* Only some callers may remove file capabilities; but before a write or change of owner the kernel removes them itself,
 * in the caller's name. What follows is done as the caller, and drops them. */
static bool
is_for_a_write (const PfsXattr *call)
{
  return call->what == PFS_XATTR_REMOVE && strcmp (call->name, "security.capability") == 0;
}

ssize_t
pfs_rootfs_xattr (PfsNode *node, const PfsXattr *call, const PfsCaller *who)
{
  bool write = call->what == PFS_XATTR_SET || call->what == PFS_XATTR_REMOVE;
  char path[32];
  ssize_t n;

  if (write && node->tree->options.read_only)
    return -EROFS;
  pfs_autofd fd = pfs_rootfs_open_path (node, NULL, NULL);
  if (fd < 0)
    return fd;
  g_snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    n = pfs_creds_take (who, &as);
    if (n == 0)
      n = call_path (path, call);
  }
  if (write)
    pfs_rootfs_refresh (node, fd); /* it may have copied the file up */
  return n == -EPERM && is_for_a_write (call) ? 0 : n;
}
