/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each of the threads that answer requests is busy with, so that one that waits for a dead mount below a peer can be
 * told from the others. */
#pragma once

#include <linux/fuse.h>
#include <pthread.h>

#include "private.h"

#define PFS_WORKERS_MAX 512u
/* More than so many at once that wait for longer than a second for one mount of a peer are refused. */
#define PFS_STALL_LIMIT 32u

typedef struct PfsWorkers PfsWorkers;

/* A thread. The request under way is written by itself alone and read by all. */
typedef struct {
  PfsWorkers *workers;
  pthread_t thread;
  guint64 unique;               /* the kernel's number of the request; 0: none */
  gint64 since;                 /* milliseconds, as pfs_worker_now() */
  pid_t caller;
  gpointer container;           /* as in PfsPlace; to be compared alone */
  gconstpointer mount;
  bool remote;
  bool locks;                   /* the caller's kernel lets nobody else look into the directory meanwhile */
  gint watched;                 /* somebody is about to do something about that request */
  guint64 answered;             /* the one that was answered in its place: guarded by the lock below, as what follows */
  const struct fuse_in_header *in;
  GSList *nodes, *files;        /* references to what that request is about and the kernel has let go of */
} PfsWorker;

/* A request whose caller has got a signal. */
typedef struct {
  guint64 unique;
  gint64 since;
} PfsInterrupted;

struct PfsWorkers {
  PfsSession *session;
  struct fuse_session *fuse;
  int wake;                     /* eventfd, readable when pfs_stall_tend() is to be called */
  gint orphans;                 /* requests that were answered in the place of a thread that is still busy with them */
  gint tending;                 /* pfs_stall_tend() is being called now and then */
  GThreadPool *late;            /* one thread, that closes files of mounts that do not answer; NULL: none needed yet */
  GMutex lock;                  /* guards what follows */
  GPtrArray *all;               /* of PfsWorker, borrowed */
  GArray *interrupted;          /* of PfsInterrupted */
  guint64 said;                 /* the container that was last said to be stalled, by its serial, and when */
  gint64 said_at;
};

/* --- workers.c --- */

PfsWorkers *pfs_workers_new (PfsSession *session);              /* NULL: errno says why */
void pfs_workers_free (PfsWorkers *workers);                    /* once all of them have left */
/* Is nobody busy any more? */
bool pfs_workers_idle (PfsWorkers *workers);

/* The calling thread, from its beginning to its end. */
PfsWorker *pfs_worker_enter (PfsWorkers *workers);
void pfs_worker_leave (PfsWorker *worker);
/* Answers a request. busy: threads that do so now. last: nobody waits for requests meanwhile, or will. */
void pfs_worker_process (PfsWorker *worker, struct fuse_buf *buf, guint busy, bool last);

gint64 pfs_worker_now (void);
void pfs_workers_wake (PfsWorkers *workers);

/* --- stall.c --- */

/* May the worker go on with its request? Else -EBUSY: too many wait for what it would wait for. */
int pfs_stall_admit (PfsWorker *worker, const PfsPlace *place, guint busy, bool last);
void pfs_stall_refuse (PfsWorkers *workers, guint64 unique, int r);
/* The kernel lets go of nodes or of a file: what orphans are busy with is kept for them. */
void pfs_stall_keep (PfsWorkers *workers, const struct fuse_in_header *in);
/* Their thread is done with it. */
void pfs_stall_let_go (PfsWorker *worker);
/* The caller of that request has got a signal. */
void pfs_stall_interrupted (PfsWorkers *workers, guint64 unique);
/* Looks after those, and after whoever waits for somebody else's answer: for how many milliseconds to sleep then, -1: for
 * as long as there is nothing to be read from `wake`. */
int pfs_stall_tend (PfsWorkers *workers);
