/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kind of filesystem a mount is of. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/mountinfo.h"
#include "peerfs/tree/peer.h"
#include "rootfs_private.h"

/* What kinds of filesystem there are: by their names, and by statfs(2) if a peer's mountinfo does not name them.
 * Generated content is volatile: st_size is 0 or wrong, and what was read a moment ago says nothing. On the local ones
 * open(2) settles what a caller may read or write, and no server is told which caller does. */
static const struct {
  const char *name;
  unsigned long magic;
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
  { "autofs", AUTOFS_SUPER_MAGIC, PFS_MOUNT_REMOTE },
};

/* By its name, or (NULL) its magic number. */
static guint
flags_of (const char *type, unsigned long magic)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (type ? strcmp (types[i].name, type) == 0 : types[i].magic == magic)
      return types[i].flags;
  return type && pfs_mount_type_remote (type) ? PFS_MOUNT_REMOTE : 0;
}

/* Asks the filesystem itself. */
static int
flags_by_statfs (int fd, const char *name, guint *ret)
{
  pfs_autofd opened = *name ? openat (fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  struct statfs fs;

  if ((*name && opened < 0) || fstatfs (*name ? opened : fd, &fs) < 0)
    return -errno;
  *ret = flags_of (NULL, (unsigned long) fs.f_type);
  return 0;
}

/* Without a scan, should the main process have ended: this thread may have a caller's credentials, with which a scan
 * would see less. What it does not see would count for all. */
static int
read_mountinfo (PfsRootfs *rootfs, GBytes **ret)
{
  g_autoptr (PfsProcess) process = NULL;
  int r = pfs_container_process (rootfs->container, &process);

  return r < 0 ? pfs_gone (r, -ESTALE) : pfs_read_prefix_at (process->fd, "mountinfo", PFS_MOUNTINFO_MAX, ret);
}

GBytes *
pfs_rootfs_mountinfo (PfsRootfs *rootfs)
{
  GBytes *content;

  return read_mountinfo (rootfs, &content) < 0 ? g_bytes_new_static ("", 0) : content;
}

/* The kinds of a peer's mounts are read from its mountinfo: to ask the filesystem itself could hang. But there may be
 * too many of them to read all, and a process that has changed its root is shown none beyond it. */
int
pfs_rootfs_mount_kind (PfsRootfs *rootfs, int fd, const char *name, const struct statx *st, guint *ret)
{
  g_autoptr (GBytes) mountinfo = NULL;
  int r = read_mountinfo (rootfs, &mountinfo);

  if (pfs_is_shortage (r) || r == -ESTALE)
    return r;
  g_autofree char *type = r < 0 ? NULL : pfs_mountinfo_fstype (mountinfo, st->stx_dev_major, st->stx_dev_minor);
  if (!type)
    return flags_by_statfs (fd, name, ret);
  *ret = flags_of (type, 0);
  return 0;
}
