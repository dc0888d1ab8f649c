/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/proc/mountdev.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"

struct PfsMountDevs {
  int pid_fd;
  GHashTable *devices; /* mount id -> dev_t + 1; NULL before it is needed */
};

PfsMountDevs *
pfs_mount_devs_new (int pid_fd)
{
  PfsMountDevs *devs = g_new0 (PfsMountDevs, 1);

  devs->pid_fd = pid_fd;
  return devs;
}

void
pfs_mount_devs_free (PfsMountDevs *devs)
{
  g_clear_pointer (&devs->devices, g_hash_table_unref);
  g_free (devs);
}

static void
load (PfsMountDevs *devs)
{
  g_autoptr (GBytes) content = NULL;
  g_autoptr (PfsMountIter) iter = NULL;
  PfsMountLine line;
  gsize len;

  if (devs->devices)
    return;
  devs->devices = g_hash_table_new (NULL, NULL);
  if (pfs_read_prefix_at (devs->pid_fd, "mountinfo", PFS_MOUNTINFO_MAX, &content) < 0)
    return;
  const char *data = g_bytes_get_data (content, &len);
  iter = pfs_mount_iter_new (data, len);
  while (pfs_mount_iter_next (iter, &line)) {
    dev_t dev = makedev (line.major, line.minor);
    g_hash_table_insert (devs->devices, (gpointer) line.id, (gpointer) (dev + 1));
  }
}

bool
pfs_mount_devs_match (PfsMountDevs *devs, int dirfd, const char *name, int flags, dev_t st_dev, dev_t dev)
{
  struct statx st;

  if (st_dev == dev)
    return true;
  load (devs);
  if (statx (dirfd, name, flags | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
    return false;
  gpointer found = g_hash_table_lookup (devs->devices, (gpointer) (uintptr_t) st.stx_mnt_id);
  return found && (dev_t) (uintptr_t) found - 1 == dev;
}
