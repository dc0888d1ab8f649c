/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The insides of the container table, shared by table.c, container.c, scan.c, records.c, classify.c, self.c,
 * main_process.c, nsmounts.c, pods.c and naming.c.
 *
 * Who may touch what: fields marked [scan] belong to the thread that scans (one at a time, PfsTable.scanning); fields
 * marked [lock] need PfsTable.lock; the rest never changes once others can see it. No I/O happens under the lock. */
#pragma once

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "peerfs/parse/cgroup.h"
#include "peerfs/parse/mountinfo.h"
#include "peerfs/pod/table.h"
#include "peerfs/proc/patience.h"

#define PFS_PINS_MAX 32       /* main processes kept pinned between calls */
#define PFS_SETTLE_SECONDS 10 /* a process joins its container's cgroup within this time */
#define PFS_EXEC_SECONDS 2    /* a runtime's exec into the container is over by then */

typedef enum {
  PFS_KIND_NEW = 0,    /* nothing read yet */
  PFS_KIND_PENDING,    /* cannot be told yet: looked at again by every scan */
  PFS_KIND_WITHOUT_ID, /* within one scan: its cgroup names no container */
  PFS_KIND_BESIDE,     /* likewise, and its cgroup is not within ours */
  PFS_KIND_OUTSIDE,    /* of no container: looked at again while it is young */
  PFS_KIND_MEMBER,     /* of a container, for the rest of its life */
} PfsKind;

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

/* What is remembered of one process; dropped by the first scan without its pid. */
typedef struct {
  guint64 ino; /* of /proc/<pid> */
  guint64 start_time;
  PfsContainer *container; /* of a member; borrowed from PfsTable.instances */
  pid_t pid;
  guint8 kind; /* PfsKind */
  guint8 rank; /* PfsRank */
} PfsRecord;

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

  GArray *members;         /* [scan] of guint: indices into PfsTable.records */
  char *root_key;          /* [scan] of its own "/"; NULL until a process with one was seen */
  PfsKubeletMount kubelet; /* [scan] name "" where there is none */
  bool main_is_sandbox;    /* [scan] */
  PfsRank main_rank;       /* [scan] UNKNOWN: there is no main process */
  char *place;             /* [scan] "NAMESPACE/POD"; NULL before the first scan, and in PFS_SCOPE_OWN */
  char *next_name;         /* [scan] */
  PfsClaim claim;          /* [scan] to next_name */
  bool told;               /* [scan] that another one has the name that it claims */

  char *name;         /* [lock] */
  pid_t main_pid;     /* [lock], written by the scan alone */
  guint64 main_start; /* [lock], written by the scan alone */
  int main_error;     /* [lock], written by the scan alone: why the next main process is not known; else 0 */
  GArray *pids;       /* [lock] of pid_t; never changed in place */
  PfsPin *pin;        /* [lock] cached; in PfsTable.pinned */
};

/* Ourselves, as this /proc shows us. */
typedef struct {
  bool known;
  char *key; /* of our own container; NULL where we are in none, or not in this /proc */
  bool has_cgroup_id;
  PfsKubeletMount kubelet; /* name "" where there is none */
  char *root_key;
  char *mnt_ns;
} PfsSelf;

typedef struct {
  char *prefix;
  char *name;
  char *arg;
  const PfsContainer *match; /* [scan] within one scan: the container that it names */
  bool told;                 /* [scan] that several match */
} PfsNameRule;

struct PfsTable {
  gint users; /* references by the outside */
  gint refs;  /* references to its memory: one of all users together, one of each container */
  PfsProc *proc;
  PfsPatience *patience;
  GPtrArray *rules; /* of PfsNameRule */
  bool sandbox;
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

  GArray *records;       /* [scan] of PfsRecord, by pid */
  GHashTable *instances; /* [scan] key -> PfsContainer reference */
  char *node_root;       /* [scan] root key of the node itself; NULL where it is not visible */
  PfsSelf self;          /* [scan] */
  gint64 self_time;      /* [scan] when that was read, monotonic, in microseconds */
  guint64 now;           /* [scan] ticks since boot; 0 for a saved copy, where nothing is young */
  guint64 ticks_per_second;
  guint64 next_serial; /* [scan] */
  guint64 files_read;  /* [scan] cgroup files read so far, for tests */
};

/* scan.c: one scan; the caller has set scanning. Returns 0 or -errno of reading /proc: then what was published stays.
 */
int pfs_table_scan (PfsTable *table);
/* Is it younger than that? Never so in a saved copy. */
bool pfs_table_is_young (const PfsTable *table, guint64 start_time, guint seconds);

/* records.c: brings PfsTable.records up to date. Returns 0 or -errno of reading /proc: then nothing has changed. */
int pfs_records_read (PfsTable *table);

/* classify.c: decides by its cgroup which container the process of the record belongs to, joining or creating its
 * instance. Those that name none are for the second function, after the main processes of the others are known. */
void pfs_classify (PfsTable *table, PfsRecord *record);
void pfs_classify_without_id (PfsTable *table, PfsRecord *record);
/* Reads the cgroup file of an open process directory: 1 where it names a container, 0 where it names none, or -errno.
 */
int pfs_read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret, bool *ret_outside);
/* The instance of a cgroup's id that the kubelet mount is of, or NULL. */
PfsContainer *pfs_find_by_kubelet (PfsTable *table, const PfsKubeletMount *kubelet);
/* <uid>/<name>/<8 hex>, which is as good as an id. g_free. */
char *pfs_kubelet_key (const PfsKubeletMount *kubelet);

/* self.c: ourselves, as of some seconds ago at most. 0, or -errno where that cannot be told now. */
int pfs_self_get (PfsTable *table, const PfsSelf **ret);
/* True for a chain of a container that was made in ours, if our own cgroup namespace hides what is before it. */
bool pfs_self_contains (const PfsSelf *self, const char *chain);
void pfs_self_clear (PfsSelf *self);

/* nsmounts.c: the mountinfo of the whole mount namespace of an open process directory. Needs CAP_SYS_ADMIN there.
 * Returns 0 or -errno, -ETIMEDOUT where it makes us wait; *ret is the caller's. */
int pfs_namespace_mountinfo (PfsTable *table, int piddir, GBytes **ret);

/* main_process.c: keeps or chooses the main process. 0; -ESRCH where no process of the instance can be; another -errno
 * where that cannot be told: then nothing changes, and PfsContainer.main_error says why. */
int pfs_choose_main (PfsTable *table, PfsContainer *c);

/* pods.c: reads the names of pods that the last scan was the first to see. True if another scan will have more names.
 */
bool pfs_pods_learn (PfsTable *table);
/* The rest is for the thread that scans, after pfs_self_get(). The uid of the container's pod, borrowed; "" without
 * one. */
const char *pfs_pods_uid (const PfsTable *table, const PfsContainer *c);
/* Gives each its place. */
void pfs_pods_place (PfsTable *table, GPtrArray *live);
/* Is it in the scope of the table? */
bool pfs_pods_is_shown (const PfsTable *table, const PfsContainer *c);
/* All their pods, by place: an array of PfsPod (g_ptr_array_unref). */
GPtrArray *pfs_pods_list (const PfsTable *table, GPtrArray *live);

/* naming.c: gives each of the live containers (with main processes) its next_name, NULL for those not to be listed. */
void pfs_assign_names (PfsTable *table, GPtrArray *live);
bool pfs_name_rule_parse (const char *arg, PfsNameRule *ret);
void pfs_name_rule_free (PfsNameRule *rule);

/* container.c */
PfsContainer *pfs_container_new (PfsTable *table, const char *key, const char *id, const PfsCgroup *cgroup);
/* [lock] Marks it ended and gives back its cached pin for pfs_pin_unref() after unlocking; may be NULL. */
PfsPin *pfs_container_end (PfsContainer *c);
/* The main process's pin without a scan: 0, -ESRCH where it has ended, or there is none. */
int pfs_container_pin (PfsContainer *c, PfsPin **ret);

/* table.c: waits for a scan that begins after this call. Returns its result. */
int pfs_table_rescan (PfsTable *table);
void pfs_table_memory_ref (PfsTable *table);
void pfs_table_memory_unref (PfsTable *table);
