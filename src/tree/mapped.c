/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/tree/mapped.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "mirror.h"
#include "peerfs/tree/peer.h"
#include "../root/rootfs_private.h"
#include "peerfs/tree/tree.h"
#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/maps.h"
#include "peerfs/parse/mountinfo.h"
#include "peerfs/proc/mountdev.h"

/* One mapped object, as the leaf of a mirror and in its node. */
typedef struct {
  char *path;          /* as mapped, absolute */
  char *shown;         /* its path in the mirror: in that one, or a string of its own; NULL in a node */
  uint64_t start, end; /* where it was last seen; another file may have come there */
  unsigned int major, minor;
  uint64_t inode;
  bool remote; /* its file system may not answer */
} Mapped;

typedef struct {
  PfsPeerNode peer;
  Mapped object;
} MappedNode;

static void
mapped_free (gpointer data)
{
  Mapped *object = data;

  if (object->shown != object->path + 1)
    g_free (object->shown);
  g_free (object->path);
  g_free (object);
}

static const char *
mapped_shown (gconstpointer leaf)
{
  return ((const Mapped *) leaf)->shown;
}

static char *
mapped_key (const char *name, gconstpointer leaf)
{
  const Mapped *object = leaf;
  return g_strdup_printf ("%s/%u:%u:%" PRIu64, name, object->major, object->minor, object->inode);
}

static int
main_pin (PfsContainer *c, PfsProcess **ret)
{
  int r = pfs_container_main (c, ret);
  return pfs_gone (r, -ESTALE);
}

/* --- one object --- */

/* sync: AT_STATX_DONT_SYNC where a file system that may not answer is not to be asked. */
static int
look (int fd, int sync, struct statx *ret)
{
  return statx (fd, "", AT_EMPTY_PATH | sync, STATX_BASIC_STATS, ret) < 0 ? -errno : 0;
}

/* maps shows the inode of stat(2), and the device of the superblock (measured on ext4, tmpfs and overlayfs of Linux
 * 6.18; overlays without xino have other st_dev). */
static bool
same_inode (int pin_fd, const Mapped *object, int fd, const struct statx *st)
{
  g_autoptr (PfsMountDevs) devs = pfs_mount_devs_new (pin_fd);
  dev_t dev = makedev (st->stx_dev_major, st->stx_dev_minor);

  return st->stx_ino == object->inode
         && pfs_mount_devs_match (devs, fd, "", AT_EMPTY_PATH, dev, makedev (object->major, object->minor));
}

static void
range_of (const Mapped *object, char ret[40])
{
  g_snprintf (ret, 40, "%" PRIx64 "-%" PRIx64, object->start, object->end);
}

/* Older kernels print an overlay's lower file in maps: another device, and the inode number without the bits that xino
 * adds. There the path in map_files has to agree as well; alone it could not tell a replaced file from the old one. To
 * say that it was deleted is right for what was opened at the object's address, but not by its path. */
static bool
is_object (int pin_fd, const Mapped *object, int fd, const struct statx *st, int map_files, bool by_path)
{
  static const char deleted[] = " (deleted)";
  g_autofree char *target = NULL;
  char range[40];

  if ((uint32_t) st->stx_ino != (uint32_t) object->inode)
    return false;
  if (same_inode (pin_fd, object, fd, st))
    return true;
  range_of (object, range);
  if (map_files < 0 || pfs_readlink_at (map_files, range, &target) < 0)
    return false;
  if (!by_path && g_str_has_suffix (target, deleted) && !g_str_has_suffix (object->path, deleted))
    target[strlen (target) - strlen (deleted)] = '\0';
  return strcmp (target, object->path) == 0;
}

static int
open_map_files (int pin_fd)
{
  return openat (pin_fd, "map_files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* An O_PATH descriptor of what is mapped at the object's address, if it is the object. -ENOENT where it is not. */
static int
open_at_address (int pin_fd, const Mapped *object)
{
  pfs_autofd map_files = open_map_files (pin_fd);
  char range[40];
  struct statx st;

  if (map_files < 0)
    return -errno;
  range_of (object, range);
  pfs_autofd fd = openat (map_files, range, O_PATH | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  int r = look (fd, AT_STATX_DONT_SYNC, &st);
  if (r < 0)
    return r;
  if (!S_ISREG (st.stx_mode) || !is_object (pin_fd, object, fd, &st, map_files, false))
    return -ENOENT;
  return pfs_fd_steal (&fd);
}

/* Following map_files needs CAP_CHECKPOINT_RESTORE in the initial user namespace. Without it the file of that path in
 * the container will do if it is that very object. The way is walked as the caller, from a root that the gate has let
 * it in to. */
static int
open_by_path (int pin_fd, const Mapped *object, const PfsCaller *who)
{
  pfs_autofd root = openat (pin_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  pfs_autofd fd = -1;
  struct statx st;

  if (root < 0)
    return -errno;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    int r = pfs_creds_take (who, &as);
    if (r < 0)
      return r;
    fd = pfs_inroot_open (root, object->path, O_PATH | O_NOFOLLOW);
  }
  if (fd < 0)
    return fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR ? -ESTALE : fd;
  int r = look (fd, AT_STATX_DONT_SYNC, &st);
  if (r < 0)
    return r;
  pfs_autofd map_files = open_map_files (pin_fd);
  if (!S_ISREG (st.stx_mode) || !is_object (pin_fd, object, fd, &st, map_files, true))
    return -ESTALE;
  return pfs_fd_steal (&fd);
}

static int
open_object (int pin_fd, const Mapped *object)
{
  int fd = open_at_address (pin_fd, object);
  return fd == -EPERM || fd == -EACCES ? open_by_path (pin_fd, object, &pfs_caller_self) : fd;
}

typedef struct {
  const Mapped *object;
  Mapped moved; /* end is 0 where it is not mapped any more */
} Search;

static bool
search_line (const char *line, size_t len, gpointer data)
{
  Search *search = data;
  const Mapped *object = search->object;
  PfsMapping m;

  if (!pfs_maps_parse_line (line, len, &m))
    return true;
  if (m.inode == object->inode && m.major == object->major && m.minor == object->minor
      && strcmp (m.path, object->path) == 0) {
    search->moved = *object;
    search->moved.start = m.start;
    search->moved.end = m.end;
  }
  g_free (m.path);
  return search->moved.end == 0;
}

/* The object may be mapped elsewhere by now. */
static int
open_moved (int pin_fd, const Mapped *object)
{
  Search search = { .object = object };

  int r = pfs_read_lines_at (pin_fd, "maps", PFS_MAPS_MAX, search_line, &search);
  if (search.moved.end != 0)
    return open_object (pin_fd, &search.moved);
  return r < 0 && r != -EFBIG ? r : -ESTALE;
}

/* May the caller follow map_files itself (proc_map_files_get_link() in fs/proc/base.c)? It leads past the folders on
 * the way to a file. */
static bool
follows_map_files (const PfsCaller *who)
{
  return !pfs_caller_known (who)->switching
         || (who->caps & (PFS_CAP_BIT (CAP_CHECKPOINT_RESTORE) | PFS_CAP_BIT (CAP_SYS_ADMIN)));
}

/* An O_PATH descriptor of a node's object, a regular file. */
static int
node_open (PfsNode *node, const PfsCaller *who)
{
  const Mapped *object = &((MappedNode *) node)->object;
  g_autoptr (PfsProcess) pin = NULL;

  int r = main_pin (pfs_node_container (node), &pin);
  if (r < 0)
    return r;
  if (!follows_map_files (who)) {
    int by_path = open_by_path (pfs_process_fd (pin), object, who);
    /* The file of that path is another one by now. */
    return by_path == -ESTALE ? -EACCES : pfs_gone (by_path, -ESTALE);
  }
  int fd = open_object (pfs_process_fd (pin), object);
  if (fd == -ENOENT)
    fd = open_moved (pfs_process_fd (pin), object);
  return fd == -ENOENT ? -ESTALE : pfs_gone (fd, -ESTALE);
}

static int
fill_attr (const PfsNode *node, int fd, int sync, struct stat *ret)
{
  struct statx st = { 0 };
  struct stat attr;

  int r = fd < 0 ? 0 : look (fd, sync, &st);
  if (r < 0)
    return r;
  pfs_rootfs_attr (&st, &attr);
  pfs_node_stat (node, S_IFREG | (attr.st_mode & 0444), attr.st_uid, attr.st_gid, attr.st_size, &attr.st_mtim, ret);
  ret->st_atim = attr.st_atim;
  ret->st_ctim = attr.st_ctim;
  ret->st_blocks = attr.st_blocks;
  return 0;
}

/* Nobody is told more of it than its name, which is in maps/maps, who may not go there. */
static int
attr_of (PfsNode *node, const PfsCaller *who, int sync, struct stat *ret)
{
  pfs_autofd fd = sync == AT_STATX_DONT_SYNC && !follows_map_files (who) ? -EACCES : node_open (node, who);

  return fd < 0 && fd != -EACCES ? fd : fill_attr (node, fd, sync, ret);
}

static int
mapped_getattr (PfsNode *node, PfsFile *file, const PfsCaller *who, struct stat *ret)
{
  if (!file || file->fd < 0)
    return attr_of (node, who, 0, ret);
  int r = fill_attr (node, file->fd, 0, ret);
  /* Only then: at the container's end another descriptor takes its place. */
  int gone = pfs_file_check (file);
  return gone < 0 ? gone : r;
}

/* The kernel asks the file itself next. */
static int
mapped_known_attr (PfsNode *node, const PfsCaller *who, struct stat *ret)
{
  return attr_of (node, who, ((MappedNode *) node)->object.remote ? AT_STATX_DONT_SYNC : 0, ret);
}

/* The mode of the file counts as on disk: whoever may look at the mappings may not yet read what is mapped (a helper
 * that runs setuid maps what its user cannot read). */
static int
mapped_open (PfsNode *node, int flags, const PfsCaller *who, PfsFile **ret)
{
  bool remote = ((MappedNode *) node)->object.remote;
  pfs_autofd fd = -1;
  char name[PFS_FD_NAME_MAX];

  (void) flags;
  pfs_autofd path_fd = node_open (node, who);
  if (path_fd < 0)
    return path_fd;
  {
    pfs_auto_creds const PfsCaller *as = NULL;
    int r = pfs_creds_take (who, &as);
    if (r < 0)
      return r;
    fd = openat (node->tree->self_fds, pfs_fd_name (path_fd, name), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
      return -errno;
  }
  /* As below root/. */
  struct statfs fs;
  if (!remote && fstatfs (fd, &fs) < 0)
    return -errno;
  if (!remote && fs.f_type == PROC_SUPER_MAGIC)
    return -EACCES;
  /* What the kernel was told of its size may be out of date. */
  return pfs_maps_file (node, pfs_fd_steal (&fd), PFS_FILE_AS_CALLER | (remote ? PFS_FILE_DIRECT_IO : 0), ret);
}

static void
mapped_init (PfsNode *node, gpointer data)
{
  MappedNode *mapped = (MappedNode *) node;

  mapped->object = *(const Mapped *) data;
  mapped->object.path = g_strdup (mapped->object.path);
  mapped->object.shown = NULL;
}

static void
mapped_finalize (PfsNode *node)
{
  g_free (((MappedNode *) node)->object.path);
  pfs_peer_finalize (node);
}

static const PfsNodeOps mapped_ops = {
  .kind = "mapped",
  .gated = true,
  .size = sizeof (MappedNode),
  .finalize = mapped_finalize,
  .getattr = mapped_getattr,
  .open = mapped_open,
  .close = pfs_file_let_go,
};

bool
pfs_mapped_remote (PfsNode *node, dev_t *ret_dev)
{
  const Mapped *object = &((MappedNode *) node)->object;

  if (node->ops != &mapped_ops || !object->remote)
    return false;
  *ret_dev = makedev (object->major, object->minor);
  return true;
}

/* --- all of them --- */

/* The mappings of one process while they are looked at. */
typedef struct {
  int map_files;             /* -1 where there is none */
  GBytes *mountinfo;         /* NULL likewise */
  unsigned int major, minor; /* the device seen last */
  bool remote;               /* its file system may not answer */
} Scan;

static bool
is_remote (Scan *scan, const PfsMapping *m)
{
  char type[64];
  gsize len;

  if (m->major != scan->major || m->minor != scan->minor) {
    const char *content = scan->mountinfo ? g_bytes_get_data (scan->mountinfo, &len) : NULL;
    scan->remote = content && pfs_mountinfo_fstype (content, len, m->major, m->minor, type, sizeof type)
                   && pfs_mount_type_remote (type);
    scan->major = m->major;
    scan->minor = m->minor;
  }
  return scan->remote;
}

/* Device memory and the like have inodes too, but are no files to read. What may not answer is not asked. */
static bool
is_regular (Scan *scan, const PfsMapping *m)
{
  struct statx st;
  char range[40];

  g_snprintf (range, sizeof range, "%" PRIx64 "-%" PRIx64, m->start, m->end);
  if (scan->map_files >= 0 && !is_remote (scan, m)
      && statx (scan->map_files, range, AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0)
    return S_ISREG (st.stx_mode);
  return !g_str_has_prefix (m->path, "/dev/") || g_str_has_prefix (m->path, "/dev/shm/");
}

/* Takes over its path. */
static Mapped *
mapped_of (PfsMapping *m, bool remote)
{
  Mapped *object = g_new0 (Mapped, 1);

  *object = (Mapped) {
    .path = g_steal_pointer (&m->path),
    .start = m->start,
    .end = m->end,
    .major = m->major,
    .minor = m->minor,
    .inode = m->inode,
    .remote = remote,
  };
  return object;
}

/* The shown path of the n-th object of that path. */
static char *
shown_path (GHashTable *paths, char *path, guint *n)
{
  if (++*n == 1)
    return path + 1;
  for (;; ++*n) {
    char *numbered = g_strdup_printf ("%s~%u", path, *n);
    if (!g_hash_table_contains (paths, numbered)) {
      memmove (numbered, numbered + 1, strlen (numbered));
      return numbered;
    }
    g_free (numbered);
  }
}

static bool
add_line (const char *line, size_t len, gpointer data)
{
  return pfs_mapped_files_add (data, line, len);
}

/* The objects that are shown of all that are mapped, sorted by path. */
static GPtrArray *
objects_of (Scan *scan, GPtrArray *mappings, dev_t own_device)
{
  g_autoptr (GHashTable) paths = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *objects = g_ptr_array_new_with_free_func (mapped_free);
  const char *last = "";
  guint n = 0;

  for (guint i = 0; i < mappings->len; i++)
    g_hash_table_add (paths, ((PfsMapping *) mappings->pdata[i])->path);
  for (guint i = 0; i < mappings->len; i++) {
    PfsMapping *m = mappings->pdata[i];

    if (strcmp (last, m->path) != 0)
      n = 0;
    last = m->path;
    /* A mapped file of our own mount would be asked of ourselves. */
    if (makedev (m->major, m->minor) == own_device || !is_regular (scan, m))
      continue;
    Mapped *object = mapped_of (m, is_remote (scan, m));
    object->shown = shown_path (paths, object->path, &n);
    g_ptr_array_add (objects, object);
  }
  return objects;
}

static int
mapped_scan (PfsNode *top, PfsMirror **ret)
{
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  g_autoptr (PfsProcess) pin = NULL;
  g_autoptr (GBytes) mountinfo = NULL;

  int r = pfs_container_main (pfs_node_container (top), &pin);
  if (r >= 0)
    r = pfs_read_lines_at (pfs_process_fd (pin), "maps", PFS_MAPS_MAX, add_line, files);
  if (r < 0 && r != -EFBIG)
    return r;
  pfs_autofd map_files = openat (pfs_process_fd (pin), "map_files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  (void) pfs_read_prefix_at (pfs_process_fd (pin), "mountinfo", PFS_MOUNTINFO_MAX, &mountinfo);
  Scan scan = { .map_files = map_files, .mountinfo = mountinfo, .major = UINT_MAX };
  g_autoptr (GPtrArray) mappings = pfs_mapped_files_steal (files);
  *ret = pfs_mirror_new (objects_of (&scan, mappings, top->tree->own_device), mapped_shown);
  return 0;
}

static const PfsMirrorKind mapped_kind = {
  .scan = mapped_scan,
  .key = mapped_key,
  .leaf_ops = &mapped_ops,
  .leaf_init = mapped_init,
  .leaf_attr = mapped_known_attr,
  .leaf_type = S_IFREG,
};

static void
files_init (PfsNode *node, gpointer data)
{
  (void) data;
  pfs_mirror_top_init (node, &mapped_kind);
}

static const PfsNodeOps files_ops = {
  .kind = "files",
  .gated = true,
  .size = sizeof (PfsMirrorTop),
  .finalize = pfs_mirror_top_finalize,
  .getattr = pfs_mirror_getattr,
  .lookup = pfs_mirror_lookup,
  .opendir = pfs_mirror_opendir,
};

PfsNode *
pfs_mapped_new (PfsNode *maps, const char *name)
{
  return pfs_peer_child (maps, name, &files_ops, files_init, NULL);
}
