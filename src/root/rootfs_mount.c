/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file of a peer lies on, and what may be believed of its attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/base/statx.h"
#include "peerfs/parse/mountinfo.h"
#include "rootfs_private.h"

/* What kinds of filesystem there are: by their names, and by statfs(2) where a peer's mountinfo does not name them.
 * Generated content is volatile: st_size is 0 or wrong, and what was read a moment ago says nothing. The others that
 * are here are local: who may read or write is settled at open(2), and nobody is told who does. */
static const struct {
  const char *name;
  unsigned long magic; /* 0: by name alone */
  guint flags;
} types[] = {
  { "proc", PROC_SUPER_MAGIC, PFS_MOUNT_PROC },
  { "overlay", OVERLAYFS_SUPER_MAGIC, PFS_MOUNT_OVERLAY | PFS_MOUNT_LOCAL },
  { "tmpfs", TMPFS_MAGIC, PFS_MOUNT_LOCAL },
  { "devtmpfs", TMPFS_MAGIC, PFS_MOUNT_LOCAL },
  { "ramfs", RAMFS_MAGIC, PFS_MOUNT_LOCAL },
  { "hugetlbfs", HUGETLBFS_MAGIC, PFS_MOUNT_LOCAL },
  { "ext4", EXT4_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "ext3", EXT3_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "ext2", EXT2_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "xfs", XFS_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "btrfs", BTRFS_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "f2fs", F2FS_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "erofs", EROFS_SUPER_MAGIC_V1, PFS_MOUNT_LOCAL },
  { "squashfs", SQUASHFS_MAGIC, PFS_MOUNT_LOCAL },
  { "vfat", MSDOS_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "iso9660", ISOFS_SUPER_MAGIC, PFS_MOUNT_LOCAL },
  { "zfs", 0x2fc12fc1, PFS_MOUNT_LOCAL },
  { "bcachefs", 0xca451a4e, PFS_MOUNT_LOCAL },
  { "sysfs", SYSFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "cgroup", CGROUP_SUPER_MAGIC, PFS_MOUNT_VOLATILE },
  { "cgroup2", CGROUP2_SUPER_MAGIC, PFS_MOUNT_VOLATILE },
  { "debugfs", DEBUGFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "tracefs", TRACEFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "securityfs", SECURITYFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "configfs", 0x62656570, PFS_MOUNT_VOLATILE },
  { "pstore", PSTOREFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "efivarfs", EFIVARFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "bpf", BPF_FS_MAGIC, PFS_MOUNT_VOLATILE },
  { "binfmt_misc", BINFMTFS_MAGIC, PFS_MOUNT_VOLATILE },
  { "fusectl", 0x65735543, PFS_MOUNT_VOLATILE },
  { "selinuxfs", SELINUX_MAGIC, PFS_MOUNT_VOLATILE },
  { "smackfs", SMACK_MAGIC, PFS_MOUNT_VOLATILE },
  { "rpc_pipefs", 0x67596969, PFS_MOUNT_VOLATILE },
  { "nfsd", 0x6e667364, PFS_MOUNT_VOLATILE },
  { "resctrl", RDTGROUP_SUPER_MAGIC, PFS_MOUNT_VOLATILE },
  { "fuse", FUSE_SUPER_MAGIC, PFS_MOUNT_REMOTE },
  { "nfs", NFS_SUPER_MAGIC, PFS_MOUNT_REMOTE },
  { "cifs", CIFS_SUPER_MAGIC, PFS_MOUNT_REMOTE },
  { "smb3", SMB2_SUPER_MAGIC, PFS_MOUNT_REMOTE },
  { "9p", V9FS_MAGIC, PFS_MOUNT_REMOTE },
  { "ceph", CEPH_SUPER_MAGIC, PFS_MOUNT_REMOTE },
};

guint
pfs_mount_hash (gconstpointer data)
{
  const PfsMount *mount = data;
  guint64 key = mount->id * 31 + mount->dev;

  return g_int64_hash (&key);
}

gboolean
pfs_mount_equal (gconstpointer a, gconstpointer b)
{
  const PfsMount *x = a, *y = b;

  return x->id == y->id && x->dev == y->dev;
}

static guint
flags_of_name (const char *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (strcmp (types[i].name, type) == 0)
      return types[i].flags;
  return pfs_mount_type_remote (type) ? PFS_MOUNT_REMOTE : 0;
}

static guint
flags_of_magic (unsigned long magic)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].magic == magic)
      return types[i].flags;
  return 0;
}

/* Asks the filesystem itself. */
static guint
flags_by_statfs (int fd, const char *name)
{
  pfs_autofd opened = *name ? openat (fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  struct statfs fs;

  if ((*name && opened < 0) || fstatfs (*name ? opened : fd, &fs) < 0)
    return 0;
  return flags_of_magic ((unsigned long) fs.f_type);
}

/* The kinds of a peer's mounts are read from its mountinfo: to ask the filesystem itself could hang. But there may be
 * too many for us to read all, and a process that has changed its root is shown none beyond it. */
static void
describe (PfsMount *mount, int fd, const char *name, const struct statx *st)
{
  g_autoptr (GBytes) content = NULL;
  char type[64];
  gsize len = 0;

  (void) pfs_rootfs_mountinfo (mount->rootfs, &content);
  const char *text = content ? g_bytes_get_data (content, &len) : "";
  if (pfs_mountinfo_fstype (text, len, st->stx_dev_major, st->stx_dev_minor, type, sizeof type))
    mount->flags = flags_of_name (type);
  else
    mount->flags = flags_by_statfs (fd, name);
  if (!(st->stx_mask & STATX_MNT_ID_UNIQUE))
    mount->line = pfs_mount_table_line (text, len, mount->id);
}

PfsMount *
pfs_mount_ref (PfsMount *mount)
{
  g_atomic_int_inc (&mount->refs);
  return mount;
}

/* Nobody finds a mount in the table while its last reference goes. */
void
pfs_mount_unref (PfsMount *mount)
{
  PfsRootfs *rootfs = mount->rootfs;

  for (gint refs = g_atomic_int_get (&mount->refs); refs > 1; refs = g_atomic_int_get (&mount->refs))
    if (g_atomic_int_compare_and_exchange (&mount->refs, refs, refs - 1))
      return;
  g_mutex_lock (&rootfs->mounts_lock);
  bool last = g_atomic_int_dec_and_test (&mount->refs);
  if (last && g_hash_table_lookup (rootfs->mounts, mount) == mount)
    g_hash_table_remove (rootfs->mounts, mount);
  g_mutex_unlock (&rootfs->mounts_lock);
  if (!last)
    return;
  g_free (mount->line);
  g_free (mount);
}

static PfsMount *
find_mount (PfsRootfs *rootfs, const PfsMount *key)
{
  g_mutex_lock (&rootfs->mounts_lock);
  PfsMount *mount = g_hash_table_lookup (rootfs->mounts, key);
  if (mount)
    pfs_mount_ref (mount);
  g_mutex_unlock (&rootfs->mounts_lock);
  return mount;
}

/* Takes over the line of what is to be added, unless another thread has added it. */
static PfsMount *
add_mount (PfsRootfs *rootfs, PfsMount *fresh, guint64 changes)
{
  g_autoptr (PfsMount) pushed_out = NULL;

  g_mutex_lock (&rootfs->mounts_lock);
  PfsMount *mount = g_hash_table_lookup (rootfs->mounts, fresh);
  if (mount) {
    pfs_mount_ref (mount);
    g_free (fresh->line);
  } else {
    PfsMount **slot = &rootfs->recent[rootfs->n_recent++ % PFS_RECENT_MOUNTS];

    mount = g_memdup2 (fresh, sizeof *fresh);
    g_hash_table_add (rootfs->mounts, mount);
    pushed_out = *slot;
    *slot = mount;
    /* Others have looked at a newer table meanwhile, when this one was not there to be compared. */
    if (rootfs->mounts_checked != changes)
      rootfs->mounts_checked = 0;
  }
  g_mutex_unlock (&rootfs->mounts_lock);
  return mount;
}

/* A mount is known as long as something on it is. */
static PfsMount *
mount_get (PfsRootfs *rootfs, int fd, const char *name, const struct statx *st)
{
  PfsMount key = {
    .refs = 2,
    .rootfs = rootfs,
    .id = st->stx_mnt_id,
    .dev = makedev (st->stx_dev_major, st->stx_dev_minor),
  };
  guint64 changes = 0;

  if (!(st->stx_mask & STATX_MNT_ID_UNIQUE)) {
    changes = pfs_mount_table_changes (rootfs);
    pfs_mount_table_check (rootfs, changes);
  }
  PfsMount *mount = find_mount (rootfs, &key);
  if (mount)
    return mount;
  describe (&key, fd, name, st);
  return add_mount (rootfs, &key, changes);
}

/* An overlay of one filesystem shows files on its own device and numbers directories for good; of several, it shows
 * each filesystem's files on a device of their own, and numbers directories as they come (kernel:
 * Documentation/filesystems/overlayfs.rst, "Inode properties"). Directories are seen before what is in them: until a
 * file has been, it may be either. */
static void
learn_numbers (PfsMount *mount, const struct statx *st)
{
  if ((mount->flags & PFS_MOUNT_OVERLAY) && !S_ISDIR (st->stx_mode) && !g_atomic_int_get (&mount->shows_files))
    g_atomic_int_set (&mount->shows_files, 1);
}

bool
pfs_mount_may_renumber (PfsMount *mount)
{
  return (mount->flags & PFS_MOUNT_OVERLAY) && !g_atomic_int_get (&mount->shows_files);
}

int
pfs_rootfs_statx (PfsRootfs *rootfs, int fd, const char *name, bool wait, struct statx *ret, PfsMount **ret_mount)
{
  const unsigned int mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
  struct statx st;

  if (statx (fd, name, flags | AT_STATX_DONT_SYNC, mask, &st) < 0)
    return -errno;
  if (makedev (st.stx_dev_major, st.stx_dev_minor) == rootfs->tree->roots->own_device)
    return -EXDEV;
  g_autoptr (PfsMount) mount = mount_get (rootfs, fd, name, &st);
  if (mount->flags & PFS_MOUNT_PROC)
    return -EXDEV;
  learn_numbers (mount, &st);
  if (wait && (mount->flags & PFS_MOUNT_REMOTE) && statx (fd, name, flags, mask, &st) < 0)
    return -errno;
  *ret = st;
  *ret_mount = g_steal_pointer (&mount);
  return 0;
}

bool
pfs_rootfs_owner_may (const PfsMount *mount, const struct statx *st, mode_t right, const PfsCaller *who)
{
  return who->own_ids && (mount->flags & PFS_MOUNT_LOCAL) && st->stx_uid == who->uid && (st->stx_mode & right) == right;
}

int64_t
pfs_statx_btime (const struct statx *st)
{
  if (!(st->stx_mask & STATX_BTIME))
    return 0;
  return st->stx_btime.tv_sec * G_GINT64_CONSTANT (1000000000) + st->stx_btime.tv_nsec;
}

/* One number for each file, whoever shows it: its device and inode number alone, mixed so that neighbours do not meet.
 * Files of one device never do: both steps of splitmix64 are bijections of 63 bits too. The bit that is left over tells
 * files from what is generated. */
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

/* A write takes setuid and setgid bits away without the kernel's knowing that the mode is another one. */
double
pfs_rootfs_attr_timeout (const PfsTree *tree, const PfsMount *mount, mode_t mode)
{
  bool cached = !(mount->flags & PFS_MOUNT_VOLATILE) && !(S_ISREG (mode) && (mode & (S_ISUID | S_ISGID)));

  return cached ? tree->options.attr_timeout : 0;
}
