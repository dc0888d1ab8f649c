/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests under way, and the threads that serve them. What lies on a mount that may not answer is done as a job of
 * that mount, of which only so many run at once. The thread that received it does everything else. All requests are in
 * one list, so that a killed caller can be answered, whatever its request waits for.
 *
 *   loop.c (threads) -> dispatch.c (who does it) -> tend.c (answers in vain, retries) -> jobs.c (the list)
 *     -> pools.c (counts)
 *
 * All functions that end in _locked are called, and return, with the lock. */
#pragma once

#include <pthread.h>

#include "private.h"

/* One mount's jobs at once. Receiving threads may do as many local requests again. If so many have waited for a second
 * on a mount that may not answer, it refuses more. */
#define PFS_MOUNT_THREADS 32u
#define PFS_JOBS_MAX 512u   /* of all mounts, at once */
#define PFS_LOCKED_MS 10000 /* for how long a directory may be locked */

typedef enum {
  PFS_NEW,     /* nobody does it: it is looked at, or refused */
  PFS_WAITING, /* for a thread, as a job */
  PFS_RUNNING, /* as a job */
  PFS_HERE,    /* the thread that received it does it */
  PFS_LATER,   /* it is to be tried again */
  PFS_STATES,
} PfsState;

/* The requests of one mount, of one container (its own mount), or all. */
typedef struct PfsPool PfsPool;
struct PfsPool {
  gconstpointer container, mount;
  PfsPool *container_pool; /* of a mount; else NULL */
  guint refs;
  guint n[PFS_STATES]; /* in each state */
  guint retried;       /* those that have to be tried again */
  bool said;           /* that the mount is stalled */
};

/* 0, -EAGAIN: not yet, or another -errno. */
typedef int (*PfsRetry) (gpointer data);

typedef struct {
  GList link; /* in the list */
  PfsState state;
  PfsPool *mount, *container;      /* while it is in the list */
  const struct fuse_in_header *in; /* NULL: work of our own */
  bool copied;                     /* in is its own; else the receiving thread's */
  bool lets_go;                    /* of something, and that is all: it is never refused, and is done first */
  bool locks_directory;            /* in the kernel: others that want to look there cannot even be killed */
  bool answered;
  void (*work) (gpointer data); /* that work */
  PfsRetry retry;               /* NULL, or how to go on with what has to wait, to answer req */
  GDestroyNotify free_data;
  gpointer data;
  fuse_req_t req;
  PfsNodeMount place;
  PfsNode *nodes[2];         /* what it is about; known to the kernel until the request lets go of them */
  PfsFile *files[2];         /* references */
  gint64 since, interrupted; /* milliseconds, as pfs_now(); 0: never */
  gint64 asked, due;         /* of one that is tried again: since when, and when */
  pthread_t thread;          /* that does it */
} PfsRequest;

struct PfsJobs {
  PfsSession *session;
  int ended; /* eventfd, to be made readable after fuse_session_exit() */
  int wake;  /* eventfd, on which the main thread sleeps */
  guint cpus;
  GThreadFunc thread_main; /* of loop.c */
  GMutex lock;             /* guards what follows */
  GQueue requests;         /* of PfsRequest: all that are under way */
  PfsPool all;
  GPtrArray *pools; /* of mounts and containers that have requests */
  gint64 tend_at;   /* when to look after those that may have to be answered; G_MAXINT64: none */
  /* loop.c: */
  GCond call, left;               /* on the first sleep threads that have nothing to do */
  int error;                      /* -errno */
  guint threads, idle, called;    /* all; those that sleep; and are being woken */
  guint receiving, receiving_max; /* threads that wait for a request */
  guint taken, drained;           /* since the last look: requests, and how often a thread found none */
  guint calm;                     /* looks since more threads were needed */
  bool asleep, stopping;          /* asleep: the main thread waits for the next request */
};

/* Milliseconds. */
static inline gint64
pfs_now (void)
{
  return g_get_monotonic_time () / 1000;
}

/* --- pools.c --- */

/* Counts the request, of its place, in no state yet (PFS_NEW), and no longer. */
void pfs_pools_enter_locked (PfsJobs *jobs, PfsRequest *request);
void pfs_pools_leave_locked (PfsJobs *jobs, PfsRequest *request);
void pfs_request_set_state_locked (PfsJobs *jobs, PfsRequest *request, PfsState state);
/* Those that wait for something, or are being answered, and do so for a second. */
guint pfs_pool_busy (const PfsPool *pool);
guint pfs_pool_stalled_locked (PfsJobs *jobs, const PfsPool *pool);

/* --- jobs.c --- */

/* Into the list; out of it, and its end. */
void pfs_request_enter_locked (PfsJobs *jobs, PfsRequest *request);
void pfs_request_over_locked (PfsJobs *jobs, PfsRequest *request);
/* Does it, as a job or here, unless it is answered. Then it is over, or is to be tried again. */
void pfs_request_run_locked (PfsJobs *jobs, PfsRequest *request, PfsState state);
/* Has a thread do it; false: it would never be done, as no thread is to be had. */
bool pfs_request_push_locked (PfsJobs *jobs, PfsRequest *request);
/* Does one job, if one may be done. */
bool pfs_jobs_do_locked (PfsJobs *jobs);
/* Wakes or makes a thread: false if none is to be had. */
bool pfs_thread_call_locked (PfsJobs *jobs);
/* Has pfs_requests_tend() called no later than then. */
void pfs_requests_tend_from_locked (PfsJobs *jobs, gint64 when);
/* Calls func as a job of that mount; one of no container only if it is the mount's first. False: it will not be. */
bool pfs_jobs_start (PfsJobs *jobs, PfsNodeMount place, void (*func) (gpointer data), gpointer data);
/* A PfsRunFunc: calls func here, or as a job of a mount that may not answer. */
void pfs_jobs_run (PfsNode *node, void (*func) (gpointer data), gpointer data, gpointer jobs);
/* Has the calling thread's request wait: `retry` is called again and again, and its result is the answer; a signal
 * makes it -EINTR. Takes over data, which free_data frees. -ENOLCK: too many wait; nothing is taken over. */
int pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data);
/* What they wait for may be there. */
void pfs_requests_poke (PfsJobs *jobs);
/* The node of that number, if the request that the calling thread is answering keeps it; else NULL. */
PfsNode *pfs_request_held_node (uint64_t number);

/* --- tend.c --- */

/* The caller of that request has got a signal. False: there is none of that number (yet). */
bool pfs_request_interrupt (PfsJobs *jobs, guint64 unique);
/* Answers with an error; the request may be answered already. */
void pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r);
/* Answers callers that wait in vain, and has others tried again. In how many milliseconds it is to be called again;
 * -1: once `wake` is readable. */
int pfs_requests_tend (PfsJobs *jobs);

/* --- dispatch.c --- */

#define PFS_STRANGERS 16u

/* What a thread that receives has, and remembers of callers, by their number: until then none of our threads has it. */
typedef struct {
  struct fuse_buf buf;
  guint in_vain; /* loop.c */
  struct {
    pid_t pid;
    gint64 until; /* milliseconds, as pfs_now() */
  } strangers[PFS_STRANGERS];
} PfsReceiver;

/* The request in its buffer, with what it is about, which is kept from here on. NULL: it is answered. */
PfsRequest *pfs_dispatch_look (PfsJobs *jobs, PfsReceiver *receiver);
/* Answers it, or leaves that to a job. */
void pfs_dispatch_locked (PfsJobs *jobs, PfsRequest *request);

/* --- loop.c --- */

/* NULL: errno says why. */
PfsJobs *pfs_jobs_new (PfsSession *session);
void pfs_jobs_free (PfsJobs *jobs);
/* Returns when the session has ended: 0, or the -errno that ended it. *ret_idle: no request is being answered any more.
 * Else some wait for what may never come, and only the end of the process ends them. */
int pfs_loop_run (PfsJobs *jobs, bool *ret_idle);
