/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/: what the main process has mapped, as the kernel's own files, and files/ (maps_files.c). */
#include <fcntl.h>
#include <string.h>

#include "maps_files.h"
#include "peerfs/tree/peer.h"
#include "peerfs/base/fd.h"
#include "peerfs/tree/tree.h"

static const char *const tables[] = { "maps", "smaps", "smaps_rollup", "numa_maps" };

/* A descriptor of the main process's file; not before reading would the kernel tell how long it is. */
static int
table_open_fd (PfsNode *node, const char *name, int flags)
{
  g_autoptr (PfsProcess) pin = NULL;
  struct stat st;

  int r = pfs_container_main (pfs_node_container (node), &pin);
  if (r < 0)
    return r;
  if (fstatat (pfs_process_fd (pin), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  if (!S_ISREG (st.st_mode))
    return -ENOENT;
  int fd = openat (pfs_process_fd (pin), name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

static int
table_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  (void) flags;
  (void) who;
  int fd = table_open_fd (node, node->name, O_RDONLY);
  if (fd < 0)
    return pfs_gone (fd, -ESTALE);
  g_autoptr (PfsFile) file = pfs_file_new (node, fd, NULL, NULL);
  file->file_flags = PFS_FILE_DIRECT_IO;
  int r = node->tree->root->hold (file);
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

static int
table_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFREG | 0444, true, 0, ret);
}

static const PfsNodeOps table_ops = {
  .kind = "maps-table",
  .gated = true,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = table_getattr,
  .open = table_open,
  .close = table_close,
};

static int
maps_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  (void) file;
  (void) who;
  return pfs_peer_stat (node, S_IFDIR | 0500, true, 0, ret);
}

/* Kernels without NUMA have no numa_maps, and so on: what is not there is not shown. */
static int
table_exists (PfsNode *dir, const char *name)
{
  pfs_autofd fd = table_open_fd (dir, name, O_PATH);
  return fd < 0 ? fd : 0;
}

static int
maps_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  PfsNode *child = NULL;
  int r = -ENOENT;

  if (pfs_container_ended (pfs_node_container (dir)))
    return -ENOENT;
  if (strcmp (name, "files") == 0)
    child = pfs_maps_files_new (dir, name);
  for (size_t i = 0; !child && i < G_N_ELEMENTS (tables); i++) {
    if (strcmp (name, tables[i]) != 0)
      continue;
    r = table_exists (dir, name);
    if (r >= 0)
      child = pfs_peer_child (dir, name, &table_ops, NULL, NULL);
  }
  if (child)
    r = pfs_entry_of (child, who, ret);
  return r == -ESTALE ? -ENOENT : pfs_gone (r, -ENOENT);
}

static int
maps_opendir (PfsNode *dir, const PfsCaller *who, PfsFile **ret)
{
  g_autoptr (PfsListing) listing = pfs_listing_new ();
  uint64_t ino = pfs_node_ino (dir);

  (void) who;
  for (size_t i = 0; i < G_N_ELEMENTS (tables); i++) {
    int r = table_exists (dir, tables[i]);
    if (r == -ESRCH)
      return -ESTALE;
    if (r >= 0)
      pfs_peer_list (listing, ino, tables[i], S_IFREG);
  }
  pfs_peer_list (listing, ino, "files", S_IFDIR);
  *ret = pfs_file_new (dir, -1, NULL, g_steal_pointer (&listing));
  return 0;
}

static const PfsNodeOps maps_ops = {
  .kind = "maps",
  .gated = true,
  .attr_life = PFS_ATTR_BRIEF,
  .size = sizeof (PfsPeerNode),
  .finalize = pfs_peer_finalize,
  .getattr = maps_getattr,
  .lookup = maps_lookup,
  .opendir = maps_opendir,
};

PfsNode *
pfs_maps_new (PfsNode *peer, const char *name)
{
  return pfs_peer_child (peer, name, &maps_ops, NULL, NULL);
}
