/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a name to a node, and from a link to what it says. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "rootfs_private.h"

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
bool
pfs_rootfs_same_locked (PfsRootNode *node, const PfsMount *mount, const struct statx *st)
{
  if (node->mount != mount || PFS_ROOTNODE_TYPE (node) != (st->stx_mode & S_IFMT))
    return false;
  bool same_birth = node->btime == pfs_statx_btime (st);
  if (node->ino == st->stx_ino)
    return same_birth || S_ISDIR (st->stx_mode);
  return same_birth && S_ISDIR (st->stx_mode) && g_atomic_int_get (&mount->renumbers);
}

void
pfs_rootnode_renumber_locked (PfsRootNode *node, PfsMount *mount, uint64_t ino)
{
  PfsRootNode key = { .mount = mount, .ino = ino };
  bool by_inode = node->node.tables & PFS_NODE_BY_INODE;
  bool taken = g_hash_table_lookup (node->node.tree->by_inode, &key) != NULL;

  if (by_inode)
    pfs_node_orphan_locked (&node->node);
  node->ino = ino;
  PfsMount *old = node->mount;
  node->mount = pfs_mount_ref (mount);
  pfs_mount_unref (old);
  if (by_inode && !taken)
    pfs_node_insert_by_inode_locked (&node->node);
}

bool
pfs_rootfs_same (PfsRootNode *node, PfsMount *mount, const struct statx *st)
{
  pfs_tree_lock (node->node.tree);
  bool same = pfs_rootfs_same_locked (node, mount, st);
  if (same && node->ino != st->stx_ino)
    pfs_rootnode_renumber_locked (node, mount, st->stx_ino);
  pfs_tree_unlock (node->node.tree);
  return same;
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

/* A socket or FIFO that FUSE serves is not the one its peer uses: the caller's own kernel is sent to the real one. */
static int
special_target (PfsNode *dir, const char *name, char **ret)
{
  PfsRootfs *rootfs = pfs_rootfs_of (dir);
  g_autoptr (PfsDirFd) top = NULL;
  g_autofree char *path = pfs_rootfs_path (dir);
  pid_t pid;

  int r = pfs_rootfs_top (rootfs, &top, &pid);
  if (r < 0)
    return r;
  g_autofree char *target = g_strdup_printf ("%s/%d/root%s%s%s", pfs_proc_path (pfs_container_proc (rootfs->container)),
                                             (int) pid, path, path[1] ? "/" : "", name);
  if (strlen (target) >= PATH_MAX)
    return -ENAMETOOLONG;
  *ret = g_steal_pointer (&target);
  return 0;
}

static int
readlink_as (int dirfd, const char *name, const PfsCaller *who, char **ret)
{
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_creds_take (who, &as);

  return r < 0 ? r : pfs_readlink_at (dirfd, name, ret);
}

int
pfs_rootfs_target (PfsNode *dir, int dirfd, const char *name, mode_t type, bool walk, const PfsCaller *who, char **ret)
{
  PfsTree *tree = dir->tree;
  g_autoptr (PfsDirFd) top = NULL;
  g_autofree char *raw = NULL;
  g_autofree char *path = NULL;

  if (!S_ISLNK (type))
    return special_target (dir, name, ret);
  int r = readlink_as (dirfd, name, who, &raw);
  if (r < 0)
    return r == -EINVAL ? -ESTALE : r;
  path = pfs_rootfs_path (dir);
  if (pfs_inroot_contain_walks (path, raw)) {
    if (!walk)
      return -EAGAIN;
    r = pfs_rootfs_top (pfs_rootfs_of (dir), &top, NULL);
    if (r < 0)
      return r;
  }
  pfs_auto_creds const PfsCaller *as = NULL;
  r = pfs_creds_take (who, &as);
  if (r == 0)
    r = pfs_inroot_contain (top ? top->fd : -1, path, raw, tree->own_device, ret);
  if (r != -ELOOP)
    return r;
  *ret = g_strdup (name);
  return 0;
}

/* --- finding or making the node; all with the table locked --- */

bool
pfs_rootnode_is_above_locked (const PfsNode *node, const PfsNode *below)
{
  while (below && below != node)
    below = below->parent;
  return below != NULL;
}

static PfsRootNode *
make_locked (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount, bool link)
{
  PfsRootNode *node = pfs_rootnode (pfs_node_alloc_locked (dir, name, &pfs_rootfs_ops));

  node->rootfs = mount->rootfs;
  node->mount = pfs_mount_ref (mount);
  node->ino = st->stx_ino;
  node->btime = pfs_statx_btime (st);
  node->node.flags |= (st->stx_mode & S_IFMT) >> 12;
  if (link)
    pfs_node_insert_by_name_locked (&node->node);
  else
    pfs_node_insert_by_inode_locked (&node->node);
  return node;
}

static PfsRootNode *
find_locked (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount, bool link)
{
  PfsRootNode key = { .mount = mount, .ino = st->stx_ino };

  if (link)
    return pfs_rootnode (pfs_node_find_locked (dir, name, &pfs_rootfs_ops));
  return g_hash_table_lookup (dir->tree->by_inode, &key);
}

/* A node of that inode number is known but was born at another time. If it is open and what is open was born at the new
 * time, it is the same file, copied up from a lower layer; else the number was used again. */
static void
follow_copy_up (PfsRootNode *node, const struct statx *st)
{
  g_autoptr (PfsFile) file = pfs_rootfs_any_file (&node->node);
  struct statx now;
  g_autoptr (PfsMount) mount = NULL;

  if (!file || pfs_rootfs_statx (node->rootfs, file->fd, "", false, &now, &mount) < 0)
    return;
  if (now.stx_ino != st->stx_ino || pfs_statx_btime (&now) != pfs_statx_btime (st))
    return;
  pfs_tree_lock (node->node.tree);
  if (mount == node->mount && now.stx_ino == node->ino)
    node->btime = pfs_statx_btime (st);
  pfs_tree_unlock (node->node.tree);
}

/* A directory that the peer has moved is another node where it is now. The kernel would move its own directory with the
 * same one, also under the feet of a caller who has just read a relative link there: its ".." would lead out of root/.
 */
static bool
is_moved_locked (const PfsRootNode *node, const PfsNode *dir, const char *name)
{
  return S_ISDIR (PFS_ROOTNODE_TYPE (node)) && (node->node.parent != dir || strcmp (node->node.name, name) != 0);
}

static PfsNode *
intern (PfsNode *dir, const char *name, const struct statx *st, PfsMount *mount)
{
  PfsTree *tree = dir->tree;
  bool link = pfs_rootfs_has_own_nodes (tree, st->stx_mode & S_IFMT);
  g_autoptr (PfsNode) doubtful = NULL;
  PfsNode *old_parent = NULL;

  pfs_tree_lock (tree);
  PfsRootNode *node = find_locked (dir, name, st, mount, link);
  if (node && node->open && !pfs_rootfs_same_locked (node, mount, st)) {
    doubtful = pfs_node_ref_locked (&node->node);
    pfs_tree_unlock (tree);
    follow_copy_up (node, st);
    pfs_tree_lock (tree);
    node = find_locked (dir, name, st, mount, link);
  }
  if (node && (!pfs_rootfs_same_locked (node, mount, st) || is_moved_locked (node, dir, name))) {
    pfs_node_orphan_locked (&node->node);
    node = NULL;
  }
  if (!node) {
    node = make_locked (dir, name, st, mount, link);
  } else {
    pfs_node_ref_locked (&node->node);
    if (node->node.parent != dir || strcmp (node->node.name, name) != 0)
      old_parent = pfs_node_move_locked (&node->node, dir, name);
  }
  pfs_tree_unlock (tree);
  if (old_parent)
    pfs_node_unref (old_parent);
  return &node->node;
}

/* In a directory like /tmp nobody may follow a link of another user than his own or the directory's
 * (fs.protected_symlinks, proc_sys_fs(5)): root would not reach a server's socket there. */
void
pfs_rootfs_link_attr (int dirfd, const char *target, struct stat *attr)
{
  struct stat dir;

  if (!S_ISLNK (attr->st_mode) && fstat (dirfd, &dir) == 0
      && (dir.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH))
    attr->st_uid = dir.st_uid;
  attr->st_mode = S_IFLNK | 0777;
  attr->st_rdev = 0;
  if (target)
    attr->st_size = (off_t) strlen (target);
}

/* -EAGAIN, and everything but the size, where that takes a walk: over whatever mounts, which may not answer, while the
 * kernel has the directory locked for the lookup. */
static int
fill_link (PfsNode *dir, int dirfd, const char *name, const PfsCaller *who, struct stat *attr)
{
  g_autofree char *target = NULL;

  int r = pfs_rootfs_target (dir, dirfd, name, attr->st_mode & S_IFMT, false, who, &target);
  if (r == -ESTALE || r == -ENOENT)
    return r;
  pfs_rootfs_link_attr (dirfd, target, attr);
  return r == -EAGAIN ? r : 0;
}

int
pfs_rootfs_entry (PfsNode *dir, int dirfd, const char *name, const struct statx *st, PfsMount *mount, bool wait,
                  const PfsCaller *who, PfsEntry *ret)
{
  PfsEntry entry = {
    .attr_timeout = pfs_rootfs_attr_timeout (dir->tree, mount, st->stx_mode),
    .entry_timeout = mount->flags & PFS_MOUNT_VOLATILE ? 0 : dir->tree->options.entry_timeout,
  };

  pfs_rootfs_attr (st, &entry.attr);
  if (pfs_rootfs_has_own_nodes (dir->tree, st->stx_mode & S_IFMT)) {
    int r = fill_link (dir, dirfd, name, who, &entry.attr);
    if (r < 0 && !(r == -EAGAIN && wait))
      return r;
    if (r < 0)
      entry.attr_timeout = 0;
  }
  entry.node = intern (dir, name, st, mount);
  *ret = entry;
  return 0;
}

const PfsCaller *
pfs_rootfs_searcher (int dirfd, bool local, const PfsCaller *who)
{
  struct stat st;

  bool own = local && who->learn && who->own_ids && fstat (dirfd, &st) == 0 && st.st_uid == who->uid
             && (st.st_mode & S_IXUSR);
  return own ? &pfs_caller_self : who;
}

int
pfs_rootfs_lookup_at (PfsNode *dir, int dirfd, const char *name, bool wait, const PfsCaller *search,
                      const PfsCaller *who, PfsEntry *ret)
{
  /* What is mounted on the name is asked for its attributes in its own name, by getattr: nobody waits here for it. */
  bool inside = wait && pfs_node_place (dir).remote;
  struct statx st;
  g_autoptr (PfsMount) mount = NULL;
  int r;

  if (!pfs_name_valid (name))
    return strlen (name) > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    r = pfs_creds_take (search, &as);
    if (r == 0)
      r = pfs_rootfs_statx (pfs_rootfs_of (dir), dirfd, name, inside, &st, &mount);
  }
  if (r == -EXDEV)
    return pfs_entry_of (pfs_cut_new (dir, dirfd, name), who, ret);
  if (r == 0)
    r = pfs_rootfs_entry (dir, dirfd, name, &st, mount, wait, who, ret);
  if (r == 0 && wait && !inside && (mount->flags & PFS_MOUNT_REMOTE))
    ret->attr_timeout = 0;
  return r;
}

int
pfs_rootfs_lookup (PfsNode *dir, const char *name, const PfsCaller *who, PfsEntry *ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;

  if (!S_ISDIR (PFS_ROOTNODE_TYPE (pfs_rootnode (dir))))
    return -ENOTDIR;
  int r = pfs_rootfs_dir (dir, &dirfd);
  if (r < 0)
    return r;
  const PfsCaller *search = pfs_rootfs_searcher (dirfd->fd, dirfd->mount->flags & PFS_MOUNT_LOCAL, who);
  return pfs_rootfs_lookup_at (dir, dirfd->fd, name, true, search, who, ret);
}

/* All names of the link are this one node: the name that we know may have been given to another link meanwhile. */
static int
readlink_raw (PfsNode *node, const PfsCaller *who, char **ret)
{
  pfs_autofd fd = -1;
  int r = pfs_rootfs_pin (node, NULL, &fd);

  return r < 0 ? r : readlink_as (fd, "", who, ret);
}

int
pfs_rootfs_readlink (PfsNode *node, const PfsCaller *who, char **ret)
{
  g_autoptr (PfsDirFd) dirfd = NULL;
  g_autofree char *name = NULL;
  mode_t type = PFS_ROOTNODE_TYPE (pfs_rootnode (node));

  if (!pfs_rootfs_is_link (node->tree, type))
    return -EINVAL;
  if (!pfs_rootfs_has_own_nodes (node->tree, type))
    return readlink_raw (node, who, ret);
  int r = pfs_rootfs_parent (node, &dirfd, &name);
  if (r < 0)
    return r;
  pfs_tree_lock (node->tree);
  g_autoptr (PfsNode) dir = pfs_node_ref_locked (node->parent);
  pfs_tree_unlock (node->tree);
  r = pfs_rootfs_target (dir, dirfd->fd, name, type, true, who, ret);
  return r == -ENOENT ? -ESTALE : r;
}
