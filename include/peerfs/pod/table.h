/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The containers that a /proc shows, always fresh: a listing, or a lookup that misses, rescans; a hit is checked. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "peerfs/proc/proc.h"

typedef struct PfsTable PfsTable;

/* One instance of a container: a restart under the same name, or even the same id, is another instance. Refcounted,
 * safe to use from any thread; stays valid (and dead) after its end. */
typedef struct PfsContainer PfsContainer;

/* Which containers of a /proc are listed, and by which names. */
typedef enum {
  PFS_SCOPE_OWN = 0, /* all: it is that of one pod */
  PFS_SCOPE_POD,     /* those of one of a node's pods */
  PFS_SCOPE_NODE,    /* all, as NAMESPACE/POD/NAME: "_/<uid>/NAME" if nothing tells what the pod is called, "_/_/NAME"
                      * for those without a pod. Two pods of one name are POD~<first 12 of the uid> */
} PfsScope;

typedef struct {
  GPtrArray *names; /* of "ID_PREFIX=NAME" strings, checked by pfs_table_check_name(); may be NULL */
  bool sandbox;     /* show the pod sandbox, as "pause" */
  bool may_fork;    /* no file of a peer is open here, which another process would then hold, too */
  PfsScope scope;
  const char *pod; /* of PFS_SCOPE_POD: its uid, or NAMESPACE/POD as PFS_SCOPE_NODE has it */
} PfsTableOptions;

/* A table over proc (it takes a reference). options is copied. Nothing is read before the first list or find. */
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
 * with no lock held, whenever there is one more, or a container has ended. Drops those that have ended. */
void pfs_table_set_pinned_func (PfsTable *table, void (*func) (gpointer data), gpointer data);
GPtrArray *pfs_table_pinned (PfsTable *table);
void pfs_table_drop_dead (PfsTable *table);

/* How many containers the scans have found ended so far. */
guint64 pfs_table_n_ended (PfsTable *table);

PfsContainer *pfs_container_ref (PfsContainer *c);
void pfs_container_unref (PfsContainer *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsContainer, pfs_container_unref)

const char *pfs_container_id (const PfsContainer *c);      /* fixed for life */
const char *pfs_container_runtime (const PfsContainer *c); /* fixed for life; "unknown" if nothing tells */
const char *pfs_container_pod_uid (const PfsContainer *c); /* fixed for life; "" if unknown */
guint64 pfs_container_serial (const PfsContainer *c);      /* differs between instances in one table */
PfsProc *pfs_container_proc (const PfsContainer *c);       /* borrowed */
char *pfs_container_name (PfsContainer *c);                /* as of the last scan; g_free */

/* The main process, pinned: a reference (pfs_process_unref). If the known one has ended, /proc is rescanned for the
 * next. A process whose container's root cannot be ours to serve (start-up window) is never given.
 * Returns 0, or -ESRCH once the instance has ended (which it then stays): that alone means so. Any other error says
 * that it could not be told now (-EMFILE, -ENOMEM, -EACCES), and heals; -EAGAIN, that main processes end faster than we
 * look. */
int pfs_container_main (PfsContainer *c, PfsProcess **ret);

/* The pid of the main process as of the last scan, without checking anything. */
pid_t pfs_container_pid (PfsContainer *c);

/* All its processes as of the last scan, ascending: a GArray of pid_t (g_array_unref). Some may have ended before. */
GArray *pfs_container_pids (PfsContainer *c);

/* As above after a rescan. Returns 0 or -errno of the scan; -ESRCH once it has ended. */
int pfs_container_pids_now (PfsContainer *c, GArray **ret);

/* False once the instance is known to have ended. Cheap: looks at nothing but a flag. */
bool pfs_container_ended (PfsContainer *c);
