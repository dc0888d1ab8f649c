/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The containers that a /proc shows, always fresh: a listing, or a lookup that misses, rescans; a hit is checked. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "peerfs/parse/cgroup.h"
#include "peerfs/parse/kubelet.h"
#include "peerfs/proc/proc.h"

typedef struct PfsTable PfsTable;
typedef struct PfsContainer PfsContainer;

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

/* One instance of a container: a restart under the same name, or even the same id, is another instance. Refcounted,
 * safe to use from any thread; stays valid (and dead) after its end. */
struct PfsContainer {
  PfsCgroup cgroup; /* its pod_uid may be that of the kubelet's mount. If no cgroup names the container, id and chain
                     * are the kubelet's <uid>/<name>/<8 hex> or "self" */
  guint64 serial;   /* differs between instances in one table */
  PfsProc *proc;    /* borrowed */

  /* The rest is for src/pod alone: see state.h. */
  gint refs;
  gint ended;      /* atomic; set once */
  PfsTable *table; /* a reference to its memory */

  bool has_cgroup_id;
  GPtrArray *members;      /* [scan] of PfsProcessInfo, borrowed from PfsTable.processes, by pid */
  char *root_key;          /* [scan] of its own "/"; NULL until a process with one was seen */
  PfsKubeletMount kubelet; /* [scan] name "" if there is none */
  bool main_is_sandbox;    /* [scan] */
  PfsRank main_rank;       /* [scan] UNKNOWN: there is no main process */
  char *place;             /* [scan] "NAMESPACE/POD"; NULL before the first scan, and in PFS_SCOPE_OWN */
  const char *given;       /* [scan] the name that the user has given to it, or NULL */
  char *next_name;         /* [scan] NULL: it is not listed */
  PfsClaim claim;          /* [scan] to next_name */
  bool told;               /* [scan] that another one has the name that it claims */

  char *name;          /* [lock] */
  pid_t main_pid;      /* [lock], written by the scan alone */
  guint64 main_start;  /* [lock], written by the scan alone */
  int main_error;      /* [lock], written by the scan alone: why the next main process is not known; else 0 */
  GArray *pids;        /* [lock] of pid_t; never changed in place */
  PfsProcess *process; /* [lock] cached; in PfsTable.pinned */
};

/* Which containers of a /proc are listed, and by which names. */
typedef enum {
  PFS_SCOPE_OWN = 0, /* all: it is that of one pod */
  PFS_SCOPE_POD,     /* those of one of a node's pods */
  PFS_SCOPE_NODE,    /* all, as NAMESPACE/POD/NAME: "_/<uid>/NAME" if nothing tells what the pod is called, "_/_/NAME"
                      * for those without a pod. Two pods of one name are POD~<first 12 of the uid> */
} PfsScope;

typedef struct {
  GPtrArray *names; /* of "ID_PREFIX=NAME" strings, checked by pfs_table_check_name(); may be NULL */
  gboolean sandbox; /* show the pod sandbox, as "pause" */
  bool may_fork;    /* no file of a peer is open here, which another process would then hold, too */
  PfsScope scope;
  char *pod; /* of PFS_SCOPE_POD: its uid, or NAMESPACE/POD as PFS_SCOPE_NODE has it */
} PfsTableOptions;

/* A table over proc (it takes a reference). options is copied, but for its names, which stay as they are. Nothing is
 * read before the first list or find. */
PfsTable *pfs_table_new (PfsProc *proc, const PfsTableOptions *options);
PfsTable *pfs_table_ref (PfsTable *table);
void pfs_table_unref (PfsTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsTable, pfs_table_unref)

PfsProc *pfs_table_proc (const PfsTable *table); /* borrowed */
PfsScope pfs_table_scope (const PfsTable *table);

/* Of a scope other than PFS_SCOPE_OWN: all pods that the last scan saw, whether they are shown or not. */
typedef struct {
  char *place; /* NAMESPACE/POD */
  char *uid;   /* "" for containers without a pod */
} PfsPod;

/* By place: a GPtrArray of PfsPod that does not change (g_ptr_array_unref). */
GPtrArray *pfs_table_pods (PfsTable *table);

/* As of the last scan, is it a node's /proc: is its first process of no container? */
bool pfs_table_shows_node (PfsTable *table);

/* True for "ID_PREFIX=NAME" with an id prefix of [0-9a-zA-Z._-]+ and a NAME that is a file name. */
bool pfs_table_check_name (const char *arg);

/* What people should know of names. */
typedef enum {
  PFS_NOTICE_CONFLICT,  /* two containers claim `name`: `id` has it, `other` is called NAME~ID */
  PFS_NOTICE_AMBIGUOUS, /* `name` is an ID_PREFIX=NAME that both are meant by, so that it counts for none */
} PfsNoticeKind;

typedef struct {
  PfsNoticeKind kind;
  const char *name, *id, *other; /* valid during the call */
} PfsNotice;

typedef void (*PfsNoticeFunc) (const PfsNotice *notice, gpointer data);

/* A scan calls func once for each container that lost its name, and for each ambiguous rule; it holds no lock then.
 * What comes before there is one (or while it is NULL) waits for the next scan with one. */
void pfs_table_set_notice_func (PfsTable *table, PfsNoticeFunc func, gpointer data);

/* Rescans. *ret is an array of PfsContainer references, sorted by name, no two with the same name (g_ptr_array_unref).
 * Returns 0 or -errno of reading the /proc directory. */
int pfs_table_list (PfsTable *table, GPtrArray **ret);

/* The live container that has the name now. A known one is checked to be alive; else /proc is rescanned.
 * *ret is a reference (pfs_container_unref). Returns 0, -ENOENT, or as pfs_table_list(). */
int pfs_table_find (PfsTable *table, const char *name, PfsContainer **ret);

/* A pod's or a namespace's directory of PFS_SCOPE_NODE, "NAMESPACE" or "NAMESPACE/POD": 0 if it has a live container,
 * -ENOENT, or as pfs_table_list(). */
int pfs_table_find_group (PfsTable *table, const char *path);

/* The main processes that the table keeps pinned between calls, a GPtrArray of PfsProcess references; func is called,
 * with no lock held, whenever there is one more, or a container has ended. The last drops those that have ended. */
void pfs_table_set_pinned_func (PfsTable *table, void (*func) (gpointer data), gpointer data);
GPtrArray *pfs_table_pinned (PfsTable *table);
void pfs_table_drop_dead (PfsTable *table);

/* How many containers the scans have found ended so far. */
guint64 pfs_table_n_ended (PfsTable *table);

PfsContainer *pfs_container_ref (PfsContainer *c);
void pfs_container_unref (PfsContainer *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsContainer, pfs_container_unref)

char *pfs_container_name (PfsContainer *c); /* as of the last scan; g_free */

/* The main process, pinned: a reference (pfs_process_unref). If the known one has ended, /proc is rescanned for the
 * next. A process whose container's root cannot be ours to serve (start-up window) is never given.
 * Returns 0, or -ESRCH once the instance has ended (which it then stays): that alone means so. Any other error says
 * that it could not be told now (-EMFILE, -ENOMEM, -EACCES), and heals; -EAGAIN, that main processes end faster than we
 * look. */
int pfs_container_main (PfsContainer *c, PfsProcess **ret);

/* The same as of the last scan, without another: -ESRCH if that one has ended. For threads with other credentials. */
int pfs_container_process (PfsContainer *c, PfsProcess **ret);

/* The pid of the main process as of the last scan, without checking anything. */
pid_t pfs_container_pid (PfsContainer *c);

/* All its processes as of the last scan, ascending: a GArray of pid_t (g_array_unref). Some may have ended before. */
GArray *pfs_container_pids (PfsContainer *c);

/* As above after a rescan. Returns 0 or -errno of the scan; -ESRCH once it has ended. */
int pfs_container_pids_now (PfsContainer *c, GArray **ret);

/* False once the instance is known to have ended. Cheap: looks at nothing but a flag. */
bool pfs_container_ended (PfsContainer *c);
