/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PFS_MOUNTINFO_MAX (4 * 1024 * 1024)

/* One line, octal escapes undone. Strings belong to the iterator. */
typedef struct {
  unsigned long id, parent_id;
  unsigned int major, minor;
  const char *root;        /* the part of the filesystem that is mounted */
  const char *mount_point; /* where, below the process's root */
  const char *options;
  const char *fstype;
  const char *source;
  const char *super_options;
} PfsMountLine;

typedef struct PfsMountIter PfsMountIter;

/* An iterator over content. */
PfsMountIter *pfs_mount_iter_new (GBytes *content);
void pfs_mount_iter_free (PfsMountIter *iter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMountIter, pfs_mount_iter_free)

/* The next well-formed line (others are skipped); false at the end. */
bool pfs_mount_iter_next (PfsMountIter *iter, PfsMountLine *ret);

/* The process's own "/", the last line mounted there: "<major>:<minor> <root> <source> <super options>" (g_free), which
 * tells one root mount from another without opening it. NULL if there is no such line (a chrooted process). */
char *pfs_mountinfo_root (GBytes *content);

/* The filesystem type of a mount with that device number (g_free); NULL if there is none. */
char *pfs_mountinfo_fstype (GBytes *content, unsigned int major, unsigned int minor);

/* The device of the mount with that number; 0 if there is none. */
dev_t pfs_mountinfo_device (GBytes *content, guint64 id);

/* True for a type of filesystem that asks a server (NFS, FUSE) or a daemon (autofs), which may not answer. */
bool pfs_mount_type_remote (const char *type);
