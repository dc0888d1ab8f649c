/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes, through /proc/self/fd: the calls that take a descriptor refuse one that is O_PATH. */
#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "peerfs/base/fd.h"
#include "rootfs_private.h"

typedef struct {
  int fd;
  char path[32];
} Place;

static void
place_clear (Place *place)
{
  pfs_fd_cleanup (&place->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static int
place_open (PfsNode *node, bool write, Place *place)
{
  if (write && node->tree->options.read_only)
    return -EROFS;
  int r = pfs_rootfs_pin (node, NULL, &place->fd);
  if (r == 0)
    g_snprintf (place->path, sizeof place->path, "/proc/self/fd/%d", place->fd);
  return r;
}

ssize_t
pfs_rootfs_getxattr (PfsNode *node, const char *name, void *value, size_t size, const PfsCaller *who)
{
  g_auto (Place) place = { .fd = -1 };
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = place_open (node, false, &place);
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  ssize_t n = getxattr (place.path, name, value, size);
  return n < 0 ? -errno : n;
}

ssize_t
pfs_rootfs_listxattr (PfsNode *node, char *list, size_t size, const PfsCaller *who)
{
  g_auto (Place) place = { .fd = -1 };
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = place_open (node, false, &place);
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  ssize_t n = listxattr (place.path, list, size);
  return n < 0 ? -errno : n;
}

/* Ends what pfs_rootfs_setxattr() and pfs_rootfs_removexattr() have in common: the change may have copied the file up. */
static int
changed (PfsNode *node, const Place *place, int result)
{
  int r = result < 0 ? -errno : 0;

  pfs_rootfs_refresh (node, place->fd);
  return r;
}

int
pfs_rootfs_setxattr (PfsNode *node, const char *name, const void *value, size_t size, int flags, const PfsCaller *who)
{
  g_auto (Place) place = { .fd = -1 };
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = place_open (node, true, &place);
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  return changed (node, &place, setxattr (place.path, name, value, size, flags));
}

int
pfs_rootfs_removexattr (PfsNode *node, const char *name, const PfsCaller *who)
{
  g_auto (Place) place = { .fd = -1 };
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = place_open (node, true, &place);
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  return changed (node, &place, removexattr (place.path, name));
}
