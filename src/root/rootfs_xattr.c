/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes, through /proc/self/fd: the calls that take a descriptor refuse one that is O_PATH. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

/* The four calls differ in one system call each; around it they are the same. */
typedef struct {
  enum { GET, LIST, SET, REMOVE } what;
  const char *name;
  void *out;
  const void *value;
  size_t size;
  int flags;
} Call;

static ssize_t
call_path (const char *path, const Call *call)
{
  ssize_t n = -1;

  switch (call->what) {
  case GET:
    n = getxattr (path, call->name, call->out, call->size);
    break;
  case LIST:
    n = listxattr (path, call->out, call->size);
    break;
  case SET:
    n = setxattr (path, call->name, call->value, call->size, call->flags);
    break;
  case REMOVE:
    n = removexattr (path, call->name);
    break;
  }
  return n < 0 ? -errno : n;
}

static ssize_t
call_node (PfsNode *node, const Call *call, const PfsCaller *who)
{
  bool write = call->what == SET || call->what == REMOVE;
  char path[32];
  ssize_t n;

  if (write && node->tree->options.read_only)
    return -EROFS;
  pfs_autofd fd = pfs_rootfs_open_path (node, NULL);
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
  return n;
}

ssize_t
pfs_rootfs_getxattr (PfsNode *node, const char *name, void *value, size_t size, const PfsCaller *who)
{
  return call_node (node, &(Call) { GET, .name = name, .out = value, .size = size }, who);
}

ssize_t
pfs_rootfs_listxattr (PfsNode *node, char *list, size_t size, const PfsCaller *who)
{
  return call_node (node, &(Call) { LIST, .out = list, .size = size }, who);
}

int
pfs_rootfs_setxattr (PfsNode *node, const char *name, const void *value, size_t size, int flags, const PfsCaller *who)
{
  return (int) call_node (node, &(Call) { SET, .name = name, .value = value, .size = size, .flags = flags }, who);
}

/* Only some callers may remove file capabilities; but before a write or change of owner the kernel removes them itself,
 * in the caller's name. What follows is done as the caller, and drops them. */
int
pfs_rootfs_removexattr (PfsNode *node, const char *name, const PfsCaller *who)
{
  int r = (int) call_node (node, &(Call) { REMOVE, .name = name }, who);

  return r == -EPERM && strcmp (name, "security.capability") == 0 ? 0 : r;
}
