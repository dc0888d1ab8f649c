/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All processes that the last scan saw. */
#pragma once

#include <glib.h>

#include "peerfs/pod/table.h"

typedef enum {
  PFS_KIND_NEW = 0,    /* nothing read yet */
  PFS_KIND_PENDING,    /* cannot be told yet: looked at again by every scan */
  PFS_KIND_WITHOUT_ID, /* within one scan: its cgroup names no container */
  PFS_KIND_BESIDE,     /* likewise, and its cgroup is not within ours */
  PFS_KIND_OUTSIDE,    /* of no container: looked at again while it is young */
  PFS_KIND_MEMBER,     /* of a container, for the rest of its life */
} PfsKind;

/* What is remembered of one process; dropped by the first scan without its pid. */
typedef struct {
  guint64 ino; /* of /proc/<pid> */
  guint64 start_time;
  PfsContainer *container; /* of a member; borrowed from PfsTable.instances */
  pid_t pid;
  guint8 kind; /* PfsKind */
  guint8 rank; /* PfsRank */
} PfsProcessInfo;

/* Brings PfsTable.processes up to date. Returns 0 or -errno of reading /proc: then nothing has changed. */
int pfs_processes_read (PfsTable *table);
