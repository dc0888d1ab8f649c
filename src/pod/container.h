/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One container: what is known of it, and its main process, which is kept pinned between calls.
 *
 * Fields marked [scan] belong to the thread that scans (one at a time, PfsTable.scanning); fields marked [lock] need
 * PfsTable.lock; the rest never changes once others can see it. No I/O happens under the lock. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "peerfs/parse/cgroup.h"
#include "peerfs/parse/mountinfo.h"
#include "peerfs/pod/table.h"

#define PFS_PINS_MAX 32 /* main processes kept pinned between calls */

typedef enum {
  PFS_RANK_UNKNOWN = 0, /* not looked at, or not finished exec into the container */
  PFS_RANK_OTHER_ROOT,  /* in a mount namespace with another root: main only if nothing better lives */
  PFS_RANK_JAILED,      /* chrooted, and we may not look at its mount namespace */
  PFS_RANK_OWN_ROOT,    /* has the container's own root, or is chrooted below it */
} PfsRank;

/* What a container's name comes from, the weaker first: a mount can be made in a container that has SYS_ADMIN, a cgroup
 * in one that may make them, but only below its own. */
typedef enum {
  PFS_CLAIM_MOUNT = 0, /* the kubelet's mount, or what looks like it */
  PFS_CLAIM_CGROUP,    /* its id or machine */
  PFS_CLAIM_POD,  /* the kubelet's mount, if our own container's vouches for it; of another pod, if the cgroup does */
  PFS_CLAIM_RULE, /* --name */
} PfsClaim;

struct PfsContainer {
  gint refs;
  gint ended;      /* atomic; set once */
  PfsTable *table; /* keeps its memory, see table.c */
  guint64 serial;

  char *key; /* the chain of ids; or as id, if no cgroup names one */
  char *id;  /* the last of the chain; or the kubelet's <uid>/<name>/<8 hex>, or "self" */
  bool has_cgroup_id;
  guint depth; /* of containers around it, with itself */
  char *runtime;
  char *pod_uid; /* fixed once published */
  char *machine;
  char *outer_pod; /* the uid of the pod by its cgroup; "" if that tells none */
  bool beside_us;  /* its cgroup is beside our own */

  GArray *members;         /* [scan] of guint: indices into PfsTable.processes */
  char *root_key;          /* [scan] of its own "/"; NULL until a process with one was seen */
  PfsKubeletMount kubelet; /* [scan] name "" if there is none */
  bool main_is_sandbox;    /* [scan] */
  PfsRank main_rank;       /* [scan] UNKNOWN: there is no main process */
  char *place;             /* [scan] "NAMESPACE/POD"; NULL before the first scan, and in PFS_SCOPE_OWN */
  char *next_name;         /* [scan] */
  PfsClaim claim;          /* [scan] to next_name */
  bool told;               /* [scan] that another one has the name that it claims */

  char *name;          /* [lock] */
  pid_t main_pid;      /* [lock], written by the scan alone */
  guint64 main_start;  /* [lock], written by the scan alone */
  int main_error;      /* [lock], written by the scan alone: why the next main process is not known; else 0 */
  GArray *pids;        /* [lock] of pid_t; never changed in place */
  PfsProcess *process; /* [lock] cached; in PfsTable.pinned */
};

/* A reference. key: its chain of ids, or id if no cgroup names one. */
PfsContainer *pfs_container_new (PfsTable *table, const char *key, const char *id, const PfsCgroup *cgroup);
/* [lock] Marks it ended and gives back its cached process for pfs_process_unref() after unlocking; may be NULL. */
PfsProcess *pfs_container_end (PfsContainer *c);
/* The main process's process without a scan: 0, -ESRCH if it has ended, or there is none. */
int pfs_container_process (PfsContainer *c, PfsProcess **ret);
