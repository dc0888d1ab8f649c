/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device numbers that the kernel prints (maps, unix_diag, mountinfo) are those of the superblock. stat(2) may give
 * others: each layer of an overlay without xino and each btrfs subvolume has a pseudo device. What ties the two is the
 * mount: statx(2) tells its id and mountinfo that id's superblock. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

/* The mounts of one process, as they were when it was made. Not for several threads at once. */
typedef struct PfsMountDevs PfsMountDevs;

/* Reads nothing before it is needed. pid_fd (of /proc/<pid>) is borrowed and must outlive it. */
PfsMountDevs *pfs_mount_devs_new (int pid_fd);
void pfs_mount_devs_free (PfsMountDevs *devs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMountDevs, pfs_mount_devs_free)

/* True if the file dirfd/name (flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW), whose st_dev is given, lies on the
 * superblock of the device dev. */
bool pfs_mount_devs_match (PfsMountDevs *devs, int dirfd, const char *name, int flags, dev_t st_dev, dev_t dev);
