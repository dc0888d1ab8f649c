/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/files: a link for each mapped file, by the path that it was mapped by.
 *
 * A path may have several files at once: a library that was replaced, once deleted and once new, in the same process.
 * The one at the lowest address has the plain name, the others are NAME~2, NAME~3, ... in address order (numbers that a
 * real mapped file has already are left out).
 *
 * A link leads to /proc/<pid>/map_files/<range>: the file as mapped, even if its path is gone or another file's. The
 * kernel may not let the caller follow that. Then the link leads to the path below NAME/root, if the file there is the
 * mapped one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "path_tree.h"
#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/maps.h"

#define TRIES 20 /* of 1 us; a change of mounts or names elsewhere may disturb several */

typedef struct {
  PfsPeerNode peer;
  PfsMapping mapping; /* owns its path */
} MappedNode;

/* Mapped at another address, it is another link. */
static char *
mapped_key (const char *name, gconstpointer leaf)
{
  const PfsMapping *m = leaf;

  return g_strdup_printf ("%s/%u:%u:%" PRIu64 ":%" PRIx64 "-%" PRIx64, name, m->major, m->minor, m->inode, m->start,
                          m->end);
}

/* --- one link --- */

/* The kernel checks the right to follow the link before it says that it is one (proc_map_files_get_link() in
 * fs/proc/base.c). */
static bool
may_follow (int pin_fd, const char *link, const PfsCaller *who)
{
  struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
  pfs_auto_creds const PfsCaller *as = NULL;

  if (pfs_creds_take (who, &as) < 0)
    return false;
  pfs_autofd fd = (int) syscall (SYS_openat2, pin_fd, link, &how, sizeof how);
  return fd < 0 && errno == ELOOP;
}

/* The names on the way to a mapped file are in the kernel's cache. A look there alone waits for no mount that does not
 * answer, and asks nothing of our own. */
static int
open_cached (int pin_fd, const char *path, const PfsCaller *who)
{
  struct open_how how = {
    .flags = O_PATH | O_CLOEXEC,
    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED,
  };
  pfs_autofd root = openat (pin_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = root < 0 ? -errno : pfs_creds_take (who, &as);

  for (int i = 0; r == 0 && i < TRIES; i++) {
    long fd = syscall (SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN)
      return fd < 0 ? -errno : (int) fd;
  }
  return r < 0 ? r : -EAGAIN;
}

/* Older kernels print an overlay's lower file in maps: another device, and the number without the bits that xino adds.
 * With these, compare the path that the kernel tells of the mapped file. */
static bool
is_named (int pin_fd, const char *link, const PfsMapping *m)
{
  g_autofree char *target = NULL;

  return pfs_readlink_at (pin_fd, link, &target) == 0 && strcmp (target, m->path) == 0;
}

/* maps tells the inode of stat(2), and the device of the superblock (measured on ext4, tmpfs and overlayfs of Linux
 * 6.18; overlays without xino have another st_dev). */
static bool
is_at_path (int pin_fd, const char *link, const PfsMapping *m, const PfsCaller *who)
{
  pfs_autofd fd = open_cached (pin_fd, m->path, who);
  struct statx st;

  if (fd < 0 || statx (fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) < 0)
    return false;
  dev_t dev = makedev (st.stx_dev_major, st.stx_dev_minor);
  return (uint32_t) st.stx_ino == (uint32_t) m->inode
         && ((st.stx_ino == m->inode && pfs_proc_is_on_device (pin_fd, fd, dev, makedev (m->major, m->minor)))
             || is_named (pin_fd, link, m));
}

/* The way from its directory to the container's, and from there down: below root/ no link leads out of the peer. */
static char *
target_below_root (const char *path)
{
  GString *target = g_string_new ("../..");

  for (const char *slash = strchr (path + 1, '/'); slash; slash = strchr (slash + 1, '/'))
    g_string_append (target, "/..");
  g_string_append_printf (target, "/root%s", path);
  return g_string_free (target, FALSE);
}

static int
mapped_readlink (PfsNode *node, const PfsCaller *who, char **ret_target)
{
  PfsContainer *c = pfs_node_container (node);
  const PfsMapping *m = &((MappedNode *) node)->mapping;
  g_autofree char *link = g_strdup_printf ("map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
  g_autofree char *target = NULL;
  g_autoptr (PfsProcess) pin = NULL;

  int r = pfs_container_main (c, &pin);
  if (r < 0)
    return pfs_gone (r, -ESTALE);
  if (!may_follow (pin->fd, link, who) && is_at_path (pin->fd, link, m, who))
    target = target_below_root (m->path);
  if (!target || strlen (target) >= PATH_MAX) {
    g_free (target);
    target = g_strdup_printf ("%s/%d/%s", c->proc->path, (int) pin->pid, link);
  }
  *ret_target = g_steal_pointer (&target);
  return 0;
}

static void
mapped_init (PfsNode *node, gpointer data)
{
  PfsMapping *m = &((MappedNode *) node)->mapping;

  *m = *(const PfsMapping *) data;
  m->path = g_strdup (m->path);
}

static void
mapped_finalize (PfsNode *node)
{
  g_free (((MappedNode *) node)->mapping.path);
  pfs_peer_finalize (node);
}

static const PfsNodeOps mapped_ops = {
  .mode = S_IFLNK | 0777,
  .gated = true,
  .size = sizeof (MappedNode),
  .finalize = mapped_finalize,
  .getattr = pfs_peer_link_getattr,
  .readlink = mapped_readlink,
};

/* --- all of them --- */

/* Device memory and the like have inodes too, but are no files to read. */
static bool
is_device (const char *path)
{
  return g_str_has_prefix (path, "/dev/") && !g_str_has_prefix (path, "/dev/shm/");
}

/* Adds the n-th file of its path: the first as PATH, others as the next PATH~n that no real mapped file has. Returns
 * the number it got. */
static guint
add_numbered (PfsPathTree *path_tree, GHashTable *paths, const PfsMapping *m, guint n)
{
  g_autofree char *shown = g_strdup (m->path);

  for (; n > 1; n++) {
    g_free (shown);
    shown = g_strdup_printf ("%s~%u", m->path, n);
    if (!g_hash_table_contains (paths, shown))
      break;
  }
  pfs_path_tree_add (path_tree, shown + 1, m);
  return n;
}

/* mappings are sorted by path. */
static PfsPathTree *
path_tree_of (GPtrArray *mappings)
{
  PfsPathTree *path_tree = pfs_path_tree_new (mappings, (GDestroyNotify) g_ptr_array_unref);
  g_autoptr (GHashTable) paths = g_hash_table_new (g_str_hash, g_str_equal);
  const char *last = "";
  guint n = 0;

  for (guint i = 0; i < mappings->len; i++)
    g_hash_table_add (paths, ((PfsMapping *) mappings->pdata[i])->path);
  for (guint i = 0; i < mappings->len; i++) {
    const PfsMapping *m = mappings->pdata[i];

    if (is_device (m->path))
      continue;
    n = strcmp (last, m->path) == 0 ? n + 1 : 1;
    n = add_numbered (path_tree, paths, m, n);
    last = m->path;
  }
  return path_tree;
}

static bool
add_line (const char *line, size_t len, gpointer data)
{
  return pfs_mapped_files_add (data, line, len);
}

static int
files_scan (PfsNode *top, const PfsCaller *who, PfsPathTree **ret)
{
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  g_autoptr (PfsProcess) pin = NULL;

  (void) who;
  int r = pfs_container_main (pfs_node_container (top), &pin);
  if (r >= 0)
    r = pfs_read_lines_at (pin->fd, "maps", PFS_MAPS_MAX, add_line, files);
  if (r < 0 && r != -EFBIG)
    return r;
  *ret = path_tree_of (pfs_mapped_files_steal (files));
  return 0;
}

static const PfsNodeOps files_ops = {
  .mode = S_IFDIR | 0755,
  .gated = true,
  PFS_PATH_TREE_OPS,
};

static const PfsPathTreeKind files_kind = {
  .ops = &files_ops,
  .scan = files_scan,
  .leaf_ops = &mapped_ops,
  .leaf_init = mapped_init,
  .key = mapped_key,
};

PfsNode *
pfs_maps_files_new (PfsNode *maps, const char *name)
{
  return pfs_path_tree_top (maps, name, &files_kind);
}
