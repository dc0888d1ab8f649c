/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define PFS_MOUNTINFO_MAX (4 * 1024 * 1024)

/* One line, octal escapes undone. Strings belong to the iterator and live until its next step. */
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

/* An iterator over content, which must outlive it. */
PfsMountIter *pfs_mount_iter_new (GBytes *content);
void pfs_mount_iter_free (PfsMountIter *iter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsMountIter, pfs_mount_iter_free)

/* The next well-formed line (others are skipped); false at the end. */
bool pfs_mount_iter_next (PfsMountIter *iter, PfsMountLine *ret);

/* The kubelet's bind mount for a container: root ends in pods/<uid>/containers/<NAME>/<8 hex>. */
typedef struct {
  char name[64];             /* a DNS label */
  char pod_uid[64];          /* canonical */
  char instance[9];          /* the 8 hex digits, new at every start */
  char folder[256];          /* the kubelet's, with its pods: ".../pods"; "" if it is longer */
  unsigned int major, minor; /* of its filesystem */
} PfsKubeletMount;

/* Finds it among all lines that something speaks for: own, our own container's mount (NULL if we have none), if both
 * are of one pod; the default path /dev/termination-log; pod_uid, the pod's uid in the cgroup (NULL or "" if unknown).
 * The earlier in this list, the better; of equals the last line. Never below /volumes/, never at a mount point in some
 * rootfs/. Returns false, *ret zeroed, if there is none. */
bool pfs_mountinfo_kubelet (GBytes *content, const char *pod_uid, const PfsKubeletMount *own, PfsKubeletMount *ret);

/* True if both are of one folder of one filesystem. A mount that a container makes for itself is not in the kubelet's
 * folder, unless the container can write there. False if one is NULL or has no name. */
bool pfs_kubelet_same_node (const PfsKubeletMount *a, const PfsKubeletMount *b);

/* The same, and of one pod. */
bool pfs_kubelet_same_pod (const PfsKubeletMount *a, const PfsKubeletMount *b);

/* The process's own "/", the last line mounted there: "<major>:<minor> <root> <source> <super options>" (g_free), which
 * tells one root mount from another without opening it. NULL if there is no such line (a chrooted process). */
char *pfs_mountinfo_root (GBytes *content);

/* The filesystem type of the mount with that device number ("" in buf if it is unknown). Returns true if found. */
bool pfs_mountinfo_fstype (GBytes *content, unsigned int major, unsigned int minor, char *buf, size_t buf_len);

/* True for a type of filesystem that asks a server (NFS, FUSE) or a daemon (autofs), which may not answer. */
bool pfs_mount_type_remote (const char *type);
