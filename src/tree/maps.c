/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/: what the main process has mapped, as the kernel's own files, and files/ (maps_files.c). */
#include <fcntl.h>

#include "peerfs/tree/peer.h"
#include "peerfs/tree/tree.h"

/* Pins the main process if it has a regular file of that name: kernels without NUMA have no numa_maps, and so on. */
static int
table_find (PfsNode *node, const char *name, PfsProcess **ret)
{
  g_autoptr (PfsProcess) pin = NULL;
  struct stat st;

  int r = pfs_container_main (pfs_node_container (node), &pin);
  if (r < 0)
    return r;
  if (fstatat (pin->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  if (!S_ISREG (st.st_mode))
    return -ENOENT;
  *ret = g_steal_pointer (&pin);
  return 0;
}

static int
table_exists (PfsNode *dir, const char *name)
{
  g_autoptr (PfsProcess) pin = NULL;

  return table_find (dir, name, &pin);
}

static int
table_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (PfsProcess) pin = NULL;

  (void) flags, (void) who;
  int r = table_find (node, node->name, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  int fd = openat (pin->fd, node->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return pfs_gone (-errno, -ESTALE);
  g_autoptr (PfsFile) file = pfs_file_new (node, fd, NULL, NULL);
  file->file_flags = PFS_FILE_DIRECT_IO; /* before reading the kernel does not tell how long it is */
  r = node->tree->root->hold (file);
  if (r < 0)
    return r == -EIO ? -ESTALE : r;
  *ret = g_steal_pointer (&file);
  return 0;
}

static void
table_close (PfsFile *file)
{
  file->node->tree->root->let_go (file);
}

static const PfsNodeOps table_ops = {
  .mode = S_IFREG | 0444,
  .owned = true,
  .gated = true,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = pfs_peer_getattr,
  .open = table_open,
  .close = table_close,
};

static PfsNode *
table_new (PfsNode *maps, const char *name)
{
  return pfs_peer_child (maps, name, &table_ops, NULL, NULL);
}

static const PfsPeerChild children[] = {
  { "maps", S_IFREG, false, table_new, table_exists },         { "smaps", S_IFREG, false, table_new, table_exists },
  { "smaps_rollup", S_IFREG, false, table_new, table_exists }, { "numa_maps", S_IFREG, false, table_new, table_exists },
  { "files", S_IFDIR, false, pfs_maps_files_new, NULL },       { NULL },
};

static const PfsNodeOps maps_ops = {
  PFS_PEER_DIR_OPS, .mode = S_IFDIR | 0500,      .owned = true,
  .gated = true,    .attr_life = PFS_ATTR_BRIEF, .children = children,
};

PfsNode *
pfs_maps_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &maps_ops, NULL, NULL);
}
