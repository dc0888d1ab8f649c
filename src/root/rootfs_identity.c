/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which node a file of a peer is: by its mount, inode number and birth time; links by their names. And the number and
 * attributes that it shows. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "rootfs_private.h"

/* The time of birth in nanoseconds; 0 if the filesystem has none. */
static int64_t
birth_of (const struct statx *st)
{
  if (!(st->stx_mask & STATX_BTIME))
    return 0;
  return st->stx_btime.tv_sec * G_GINT64_CONSTANT (1000000000) + st->stx_btime.tv_nsec;
}

/* One number for each file, in every peer: its device and inode number alone, mixed so that neighbours differ. Files of
 * one device always do: both steps of splitmix64 are bijections of 63 bits too. The bit that is left over tells files
 * from what is generated. */
uint64_t
pfs_rootfs_ino (dev_t dev, uint64_t ino)
{
  uint64_t from[2] = { dev, ino & ~PFS_INO_MAX };
  uint64_t h = (ino + pfs_ino_hash (0, (const char *) from, sizeof from)) & PFS_INO_MAX;

  h = ((h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u) & PFS_INO_MAX;
  h = ((h ^ (h >> 27)) * 0x94d049bb133111ebu) & PFS_INO_MAX;
  return (h ^ (h >> 31)) | ~PFS_INO_MAX;
}

static struct timespec
timespec_of (const struct statx_timestamp *t)
{
  return (struct timespec) { .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

void
pfs_rootfs_attr (const struct statx *st, struct stat *ret)
{
  *ret = (struct stat) {
    .st_ino = pfs_rootfs_ino (makedev (st->stx_dev_major, st->stx_dev_minor), st->stx_ino),
    .st_mode = st->stx_mode,
    .st_nlink = st->stx_nlink,
    .st_uid = st->stx_uid,
    .st_gid = st->stx_gid,
    .st_rdev = makedev (st->stx_rdev_major, st->stx_rdev_minor),
    .st_size = (off_t) st->stx_size,
    .st_blksize = st->stx_blksize,
    .st_blocks = (blkcnt_t) st->stx_blocks,
    .st_atim = timespec_of (&st->stx_atime),
    .st_mtim = timespec_of (&st->stx_mtime),
    .st_ctim = timespec_of (&st->stx_ctime),
  };
}

void
pfs_rootnode_attr (const PfsRootNode *node, const struct statx *st, struct stat *ret)
{
  pfs_rootfs_attr (st, ret);
  if (S_ISDIR (st->stx_mode))
    ret->st_ino = node->shown_ino;
}

guint
pfs_rootnode_hash (gconstpointer data)
{
  const PfsRootNode *node = data;
  guint64 key = node->ino * 0x9e3779b97f4a7c15u + (guint64) GPOINTER_TO_SIZE (node->mount);

  return (guint) (key ^ (key >> 32));
}

gboolean
pfs_rootnode_equal (gconstpointer a, gconstpointer b)
{
  const PfsRootNode *x = a, *y = b;

  return x->mount == y->mount && x->ino == y->ino;
}

/* The birth time tells a file from another one that has got its inode number. It says nothing of directories: those of
 * an overlay are born again when something is written below them, and they have no content of their own to mistake.
 * But it tells a directory that has got another number; if there is none (tmpfs of older kernels), its name has to
 * do. */
static bool
is_own_locked (PfsRootNode *node, const PfsFound *found)
{
  const struct statx *st = &found->st;

  if (node->mount != found->mount || PFS_ROOTNODE_TYPE (node) != (st->stx_mode & S_IFMT))
    return false;
  bool same_birth = node->btime == birth_of (st);
  if (node->ino == st->stx_ino)
    return same_birth || S_ISDIR (st->stx_mode);
  return same_birth && S_ISDIR (st->stx_mode) && pfs_mount_may_renumber (node->mount);
}

/* The node's file may have been born again, and have another number or mount. If another node is known by these, ours
 * stays, but is not found by them. The mount that it does not lie on any more takes the place of the one found. */
static void
follow_locked (PfsRootNode *node, PfsFound *found)
{
  PfsRootNode key = { .mount = found->mount, .ino = found->st.stx_ino };
  bool by_inode = node->node.tables & PFS_NODE_BY_INODE;

  node->btime = birth_of (&found->st);
  if ((node->ino == key.ino && node->mount == key.mount) || (node->node.flags & PFS_ROOTNODE_TOP))
    return;
  bool taken = g_hash_table_lookup (node->node.tree->by_inode, &key) != NULL;
  if (by_inode)
    pfs_node_orphan_locked (&node->node);
  node->ino = key.ino;
  found->mount = node->mount;
  node->mount = key.mount;
  if (by_inode && !taken)
    pfs_node_insert_by_inode_locked (&node->node);
}

int
pfs_rootfs_own (PfsNode *node, int r, PfsFound *found)
{
  if (r < 0)
    return r == -ENOENT || r == -EXDEV ? -ESTALE : r;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);
  if (!is_own_locked (pfs_rootnode (node), found))
    return -ESTALE;
  follow_locked (pfs_rootnode (node), found);
  return 0;
}

void
pfs_rootfs_refresh (PfsNode *node, int fd)
{
  g_auto (PfsFound) found = { .mount = NULL };

  if (pfs_rootfs_statx (pfs_rootfs_of (node), fd, "", false, &found) < 0)
    return;
  g_mutex_lock (&node->tree->lock);
  follow_locked (pfs_rootnode (node), &found);
  g_mutex_unlock (&node->tree->lock);
}

PfsNode *
pfs_rootfs_known_locked (PfsTree *tree, const PfsFound *found)
{
  PfsRootNode key = { .mount = found->mount, .ino = found->st.stx_ino };

  return g_hash_table_lookup (tree->by_inode, &key);
}

bool
pfs_rootfs_is_link (const PfsTree *tree, mode_t type)
{
  return S_ISLNK (type) || (!tree->options.special_nodes && (S_ISSOCK (type) || S_ISFIFO (type)));
}

bool
pfs_rootfs_has_own_nodes (const PfsTree *tree, mode_t type)
{
  return pfs_rootfs_is_link (tree, type) && !(S_ISLNK (type) && tree->options.raw_symlinks);
}

PfsFile *
pfs_rootfs_any_file (PfsNode *node)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&node->tree->lock);

  for (GList *link = pfs_rootnode (node)->open; link; link = link->next)
    if (pfs_file_ref_unless_dying (link->data))
      return link->data;
  return NULL;
}

/* --- finding or making the node; all with the table locked --- */

static PfsRootNode *
make_locked (PfsNode *dir, const char *name, const PfsFound *found, bool link)
{
  const struct statx *st = &found->st;
  PfsRootNode *node = pfs_rootnode (pfs_node_alloc_locked (dir, name, dir->ops));

  node->rootfs = found->mount->rootfs;
  node->mount = pfs_mount_ref (found->mount);
  node->ino = st->stx_ino;
  node->shown_ino = pfs_rootfs_ino (found->mount->dev, st->stx_ino);
  node->btime = birth_of (st);
  node->node.flags |= (st->stx_mode & S_IFMT) >> 12;
  if (link)
    pfs_node_insert_by_name_locked (&node->node);
  else
    pfs_node_insert_by_inode_locked (&node->node);
  return node;
}

static PfsRootNode *
find_locked (PfsNode *dir, const char *name, const PfsFound *found, bool link)
{
  return pfs_rootnode (link ? pfs_node_find_locked (dir, name, dir->ops) : pfs_rootfs_known_locked (dir->tree, found));
}

/* A node of that inode number is known but was born at another time. If it is open and what is open was born at the new
 * time, it is the same file, copied up from a lower layer; else the number was used again. */
static void
follow_copy_up (PfsRootNode *node, const struct statx *st)
{
  g_autoptr (PfsFile) file = pfs_rootfs_any_file (&node->node);
  g_auto (PfsFound) now = { .mount = NULL };

  if (!file || pfs_rootfs_statx (node->rootfs, file->fd, "", false, &now) < 0)
    return;
  if (now.st.stx_ino != st->stx_ino || birth_of (&now.st) != birth_of (st))
    return;
  g_mutex_lock (&node->node.tree->lock);
  if (now.mount == node->mount && now.st.stx_ino == node->ino)
    node->btime = birth_of (st);
  g_mutex_unlock (&node->node.tree->lock);
}

/* A directory that the peer has moved is another node where it is now. With the same one, the kernel would move its
 * own directory too. A caller there that has just read a relative link would leave root/ by its "..". */
static bool
is_moved_locked (const PfsRootNode *node, const PfsNode *dir, const char *name)
{
  return S_ISDIR (PFS_ROOTNODE_TYPE (node)) && (node->node.parent != dir || strcmp (node->node.name, name) != 0);
}

PfsNode *
pfs_rootfs_intern (PfsNode *dir, const char *name, PfsFound *found)
{
  PfsTree *tree = dir->tree;
  bool link = pfs_rootfs_has_own_nodes (tree, found->st.stx_mode & S_IFMT);
  g_autoptr (PfsNode) doubtful = NULL;
  g_autoptr (PfsNode) old_parent = NULL;

  g_mutex_lock (&tree->lock);
  PfsRootNode *node = find_locked (dir, name, found, link);
  if (node && node->open && !is_own_locked (node, found)) {
    doubtful = pfs_node_ref_locked (&node->node);
    g_mutex_unlock (&tree->lock);
    follow_copy_up (node, &found->st);
    g_mutex_lock (&tree->lock);
    node = find_locked (dir, name, found, link);
  }
  if (node && (!is_own_locked (node, found) || is_moved_locked (node, dir, name))) {
    pfs_node_orphan_locked (&node->node);
    node = NULL;
  }
  if (!node) {
    node = make_locked (dir, name, found, link);
  } else {
    pfs_node_ref_locked (&node->node);
    follow_locked (node, found);
    if (node->node.parent != dir || strcmp (node->node.name, name) != 0)
      old_parent = pfs_node_move_locked (&node->node, dir, name);
  }
  g_mutex_unlock (&tree->lock);
  return &node->node;
}
