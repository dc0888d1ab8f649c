/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The insides of the table of containers. A scan goes from left to right: the processes there are, which container each
 * is of (identity, group), the main process of each container, its name, and what the table then lists.
 *
 * Fields marked [scan] belong to the thread that scans (one at a time, PfsTable.scanning); fields marked [lock] need
 * PfsTable.lock; the rest never changes once others can see it. No I/O happens under the lock. Functions are for the
 * thread that scans, but for those marked otherwise. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "peerfs/parse/mountinfo.h"
#include "peerfs/pod/table.h"
#include "peerfs/proc/patience.h"

#define PFS_PINS_MAX 32 /* main processes kept pinned between calls */

typedef enum {
  PFS_KIND_PENDING = 0, /* new, or cannot be told yet: looked at by every scan */
  PFS_KIND_WITHOUT_ID,  /* within one scan: its cgroup names no container */
  PFS_KIND_BESIDE,      /* likewise, and its cgroup is not within ours */
  PFS_KIND_OUTSIDE,     /* of no container: looked at again while it is young */
  PFS_KIND_MEMBER,      /* of a container, for the rest of its life */
} PfsKind;

/* What is remembered of one process; dropped by the first scan without its pid. */
typedef struct {
  guint64 ino; /* of /proc/<pid> */
  guint64 start_time;
  PfsContainer *container; /* of a member; borrowed from PfsTable.instances */
  pid_t pid;
  guint8 kind;     /* PfsKind */
  guint8 rank;     /* PfsRank */
  bool is_sandbox; /* once it has a rank: it is called as the program of a pod's sandbox */
} PfsProcessInfo;

/* Ourselves, as this /proc shows us. */
typedef struct {
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
  PfsTableOptions options; /* with a pod of its own, and a reference to the names */
  bool *names_told;        /* [scan] of each of the names: that several containers match */

  GMutex lock;
  GCond scanned;
  bool scanning;         /* [lock] */
  guint64 scans_begun;   /* [lock] */
  guint64 scans_done;    /* [lock] */
  int result;            /* [lock] of the last scan */
  GPtrArray *listed;     /* [lock] of PfsContainer references, by name */
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

  guint n_notices; /* [scan] in the last one */

  GArray *processes;     /* [scan] of PfsProcessInfo, by pid */
  GHashTable *instances; /* [scan] chain -> PfsContainer reference */
  char *node_root;       /* [scan] root key of the node itself; NULL if it is not visible */
  PfsSelf self;          /* [scan] as of some seconds ago at most */
  gint64 self_time;      /* [scan] when that was read, monotonic, in microseconds; 0: not yet */
  guint64 now;           /* [scan] ticks since boot; 0 for a saved copy: nothing is young there */
  guint64 ticks_per_second;
  guint64 next_serial; /* [scan] */
  guint64 files_read;  /* [scan] cgroup files read so far, for tests */
};

/* Is it younger than that? Never so in a saved copy. */
static inline bool
pfs_table_is_young (const PfsTable *table, guint64 start_time, guint seconds)
{
  return table->now > 0 && start_time + seconds * table->ticks_per_second > table->now;
}

/* --- scan.c --- */

/* One scan; the caller has set scanning. Returns 0 or -errno of reading /proc: then what was published stays. */
int pfs_table_scan (PfsTable *table);

/* --- identity.c: what tells which container a process is of, and the same of ourselves --- */

/* Reads the cgroup file of an open process directory: 1 if it names a container, 0 if it names none, or -errno. */
int pfs_read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret);
/* <uid>/<name>/<8 hex>, which is as good as an id. g_free. */
char *pfs_kubelet_key (const PfsKubeletMount *kubelet);
/* Reads who we are into PfsTable.self, unless that is known. 0, or -errno if it cannot be told now. */
int pfs_self_read (PfsTable *table);
void pfs_self_clear (PfsSelf *self);
/* True for a chain of a container that was made in ours, if our own cgroup namespace hides what is before it. */
bool pfs_self_contains (const PfsSelf *self, const char *chain);

/* --- group.c --- */

/* Decides by its cgroup which container the process of the info belongs to, joining or creating its instance. Those
 * that name none are for the second function, after the main processes of the others are known. */
void pfs_classify (PfsTable *table, PfsProcessInfo *info);
void pfs_classify_without_id (PfsTable *table, PfsProcessInfo *info);
/* The instance of a cgroup's id that the kubelet mount is of, or NULL. */
PfsContainer *pfs_find_by_kubelet (PfsTable *table, const PfsKubeletMount *kubelet);

/* --- nsmounts.c --- */

/* The mountinfo of the whole mount namespace of an open process directory. peer: the serial of its container. Needs
 * CAP_SYS_ADMIN there. Returns 0 or -errno, as pfs_patience_run() if it makes us wait; *ret is the caller's. */
int pfs_namespace_mountinfo (PfsTable *table, guint64 peer, int piddir, GBytes **ret);

/* --- main_process.c --- */

/* Keeps or chooses the main process. 0; -ESRCH if no process of the instance can be; another -errno if that cannot be
 * told: then nothing changes, and PfsContainer.main_error says why. */
int pfs_choose_main (PfsTable *table, PfsContainer *c);

/* --- pods.c: pods of a node --- */

/* Any thread. Reads the names of pods that the last scan was the first to see. True if it did: another scan uses them.
 */
bool pfs_pods_learn (PfsTable *table);
/* Gives each its place. */
void pfs_pods_place (PfsTable *table, GPtrArray *live);
/* Is it in the scope of the table? */
bool pfs_pods_is_shown (const PfsTable *table, const PfsContainer *c);
/* All their pods, by place: an array of PfsPod (g_ptr_array_unref). */
GPtrArray *pfs_pods_list (const PfsTable *table, GPtrArray *live);

/* --- naming.c --- */

/* Gives each of the live containers (with main processes) its next_name, NULL for those not to be listed. */
void pfs_assign_names (PfsTable *table, GPtrArray *live);

/* --- container.c --- */

/* Any thread. The table's memory outlives its last user: containers keep it. */
void pfs_table_memory_unref (PfsTable *table);

/* A reference. */
PfsContainer *pfs_container_new (PfsTable *table, const PfsCgroup *cgroup, bool has_cgroup_id);
/* Any thread, [lock]. Takes out the cached process, for pfs_process_unref() after unlocking; may be NULL. */
PfsProcess *pfs_container_unpin (PfsContainer *c);
