/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of the fuse layer share. */
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <glib.h>
#include <unistd.h>

#include "peerfs/fuse/session.h"
#include "peerfs/tree/kinds.h"
#include "peerfs/root/rootfs.h"

typedef struct PfsPassthrough PfsPassthrough;
typedef struct PfsJanitor PfsJanitor;
typedef struct PfsLocks PfsLocks;
typedef struct PfsJobs PfsJobs;

typedef struct {
  const PfsMountOptions *options;
  PfsTable *table;   /* borrowed */
  char *mountpoint;  /* absolute, without links */
  int mountpoint_fd; /* -1, or of what it was when it was checked, O_PATH; later of nothing, see its mount */
  dev_t device;      /* st_dev of the mount; 0 where it is not known */
  guint64 mount_id;  /* STATX_MNT_ID_UNIQUE; 0 before Linux 6.8 */
  gint mounted;      /* atomic: there is a mount to be taken away */
  pid_t pid;
  uid_t uid; /* the daemon's own: threads change only what file systems see of them */
  gid_t gid;
  uint64_t caps; /* what its threads may use */
  char user_ns[PFS_USER_NS_MAX];
  int proc_fd;  /* /proc */
  int state_fd; /* readable once SIGUSR1 has come */
  PfsTree *tree;
  struct fuse_session *fuse;
  PfsPassthrough *passthrough; /* NULL where it is not in use */
  PfsJobs *jobs;
  PfsJanitor *janitor;
  PfsLocks *locks;
  guint nodes_max; /* beyond them the kernel is asked to forget some: trim.c */
  gint forgotten;  /* nodes since memory was given back: trim.c; atomic */
  GMutex lock;
  GHashTable *files;      /* the PfsFile that the kernel knows -> its container; guarded by lock, as what follows */
  GHashTable *open_files; /* container -> what of them is its own; request.c */
  guint n_open_files;     /* of all containers */
  guint open_files_max;   /* RLIMIT_NOFILE */
} PfsSession;

/* Makes an eventfd(2) readable. For signal handlers too. */
static inline void
pfs_eventfd_raise (int fd)
{
  const uint64_t one = 1;

  if (write (fd, &one, sizeof one) < 0)
    return; /* EAGAIN: it is readable already */
}

/* And no longer so; it must not block (EFD_NONBLOCK). */
static inline void
pfs_eventfd_clear (int fd)
{
  uint64_t count;

  while (read (fd, &count, sizeof count) > 0)
    continue;
}
