/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The insides of the table of containers.
 *
 * Fields marked [scan] belong to the thread that scans (one at a time, PfsTable.scanning); fields marked [lock] need
 * PfsTable.lock; the rest never changes once others can see it. No I/O happens under the lock. */
#pragma once

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "peerfs/parse/mountinfo.h"
#include "peerfs/pod/table.h"
#include "peerfs/proc/patience.h"

/* Ourselves, as this /proc shows us. */
typedef struct {
  bool known;
  char *key; /* of our own container; NULL if we are in none, or not in this /proc */
  bool has_cgroup_id;
  PfsKubeletMount kubelet; /* name "" if there is none */
  char *root_key;
  char *mnt_ns;
} PfsSelf;

struct PfsTable {
  gint users; /* references by the outside */
  gint refs;  /* references to its memory: one of all users together, one of each container */
  PfsProc *proc;
  PfsPatience *patience;
  GPtrArray *rules; /* of PfsNameRule */
  bool sandbox, may_fork;
  PfsScope scope;
  char *pod; /* of PFS_SCOPE_POD */

  pthread_mutex_t lock; /* not a GMutex: ThreadSanitizer knows this one */
  pthread_cond_t scanned;
  bool scanning;         /* [lock] */
  guint64 scans_begun;   /* [lock] */
  guint64 scans_done;    /* [lock] */
  int result;            /* [lock] of the last scan */
  GPtrArray *listed;     /* [lock] of PfsContainer references, by name */
  GHashTable *by_name;   /* [lock] into listed */
  GHashTable *by_group;  /* [lock] likewise: one container of each namespace and each pod */
  GPtrArray *pods;       /* [lock] of PfsPod; never changed in place */
  bool shows_node;       /* [lock] */
  GHashTable *pod_names; /* [lock] uid -> "NAMESPACE/POD" of the folders of logs, "" if there was none; never changed
                          * in place */
  gint64 pod_names_time; /* [lock] when they were read, monotonic, in microseconds */
  GQueue pinned;         /* [lock] of PfsContainer, borrowed, last used first */
  guint64 n_ended;       /* [lock] */
  void (*pinned_func) (gpointer data); /* [lock] */
  gpointer pinned_data;                /* [lock] */
  PfsNoticeFunc notice_func;           /* [lock] */
  gpointer notice_data;                /* [lock] */

  GPtrArray *notices; /* [scan] of PfsNotice: not told yet */

  GArray *processes;     /* [scan] of PfsProcessInfo, by pid */
  GHashTable *instances; /* [scan] key -> PfsContainer reference */
  char *node_root;       /* [scan] root key of the node itself; NULL if it is not visible */
  PfsSelf self;          /* [scan] */
  gint64 self_time;      /* [scan] when that was read, monotonic, in microseconds */
  guint64 now;           /* [scan] ticks since boot; 0 for a saved copy: nothing is young there */
  guint64 ticks_per_second;
  guint64 next_serial; /* [scan] */
  guint64 files_read;  /* [scan] cgroup files read so far, for tests */
};

/* The memory outlives the last user: containers keep it. */
void pfs_table_memory_ref (PfsTable *table);
void pfs_table_memory_unref (PfsTable *table);
/* Is it younger than that? Never so in a saved copy. */
bool pfs_table_is_young (const PfsTable *table, guint64 start_time, guint seconds);
