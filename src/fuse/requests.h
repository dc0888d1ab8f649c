/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests under way, and the threads that serve them. What lies on a mount that may not answer is done as a job of
 * that mount, of which only so many run at once. The thread that received it does everything else. All requests are in
 * one list, so that a killed caller can be answered, whatever its request waits for.
 *
 *   loop.c (threads) -> dispatch.c (who does it) -> tend.c (answers in vain, retries) -> jobs.c -> requests.c (the
 * list)
 */
#pragma once

#include <linux/fuse.h>
#include <pthread.h>

#include "peerfs/base/fd.h"
#include "jobs.h"
#include "private.h"

/* One mount's jobs at once. Receiving threads may do as many local requests again. If so many have waited for a second
 * on a mount that may not answer, it refuses more. */
#define PFS_MOUNT_THREADS 32u
#define PFS_JOBS_MAX 512u /* of all mounts, at once */

typedef struct {
  GList link;                      /* in the list of those under way */
  GList waiting;                   /* in its pool's queue, until a thread takes it */
  const struct fuse_in_header *in; /* NULL: work of our own */
  void (*work) (gpointer data);    /* that work */
  PfsRetry retry;                  /* NULL, or how to go on with what has to wait, to answer req */
  GDestroyNotify free_data;
  gpointer data;
  fuse_req_t req;
  PfsNodeMount place;
  PfsNode *nodes[2];         /* what it is about; known to the kernel until the request lets go of them */
  PfsFile *files[2];         /* references */
  gint64 since, interrupted; /* milliseconds, as pfs_now(); 0: never */
  gint64 asked, due;         /* of one that waits to be tried again: since when, and until when */
  pthread_t thread;          /* only if it is running */
  bool running, answered;
  bool here;  /* the thread that received it does it */
  bool later; /* it waits to be tried again */
  bool own;   /* one of our threads asks */
} PfsRequest;

/* How many requests wait for a mount, and for anything in its container; and since more than a second. How many take a
 * thread that receives, of all and of that container. Those that are to be tried again count for none. */
typedef struct {
  guint on_mount, in_container, stalled_on_mount, stalled_in_container;
  guint here, here_of_container;
} PfsCount;

struct PfsJobs {
  PfsSession *session;
  int ended; /* eventfd, readable once the session has ended */
  int wake;  /* eventfd, on which the main thread sleeps */
  guint cpus;
  GThreadFunc thread_main; /* of loop.c */
  GMutex lock;             /* guards what follows */
  GQueue requests;         /* of PfsRequest: all that are under way */
  GPtrArray *pools;        /* of mounts that have jobs; jobs.c */
  gint64 tend_at;          /* when to look after those that may have to be answered; G_MAXINT64: none */
  /* loop.c: */
  GCond call, left;                     /* on the first sleep threads that have nothing to do */
  int error;                            /* -errno */
  guint threads, running, idle, called; /* all; those with a job; those that sleep; and are being woken */
  guint receiving, receiving_max;       /* threads that wait for a request */
  guint taken, drained;                 /* since the last look: requests, and how often a thread found none */
  guint calm;                           /* looks since more threads were needed */
  bool asleep, stopping;                /* asleep: the main thread waits for the next request */
};

/* All functions that end in _locked are called, and return, with the lock. */

/* --- requests.c --- */

/* Into the list, unless it is there. */
void pfs_request_add_locked (PfsJobs *jobs, PfsRequest *request);
PfsCount pfs_requests_count_locked (PfsJobs *jobs, const PfsNodeMount *place);
/* Lets libfuse answer it. */
void pfs_request_process (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf);
/* What the calling thread is answering. */
PfsRequest *pfs_request_mine (void);
/* It is to be tried again. */
void pfs_request_later_locked (PfsJobs *jobs, PfsRequest *request);
/* Does the kernel lock a directory for it? Others that want to look there cannot even be killed. */
bool pfs_request_locks_directory (const PfsRequest *request);
/* Does it only let go of something? Then it is never refused, and is done first. */
bool pfs_request_lets_go (const PfsRequest *request);
/* Drops what it keeps. */
void pfs_request_let_go (PfsRequest *request);
/* Has pfs_requests_tend() called no later than then. */
void pfs_requests_tend_from_locked (PfsJobs *jobs, gint64 when);

#define PFS_LOCKED_MS 10000 /* for how long a directory may be locked */

/* --- jobs.c --- */

/* Wakes or makes a thread: false if none is to be had. */
bool pfs_thread_call_locked (PfsJobs *jobs);
/* Takes the request over; false: it would never be done, as no thread is to be had. */
bool pfs_jobs_push_locked (PfsJobs *jobs, PfsRequest *request);
/* Does one job, if one may be done. */
bool pfs_jobs_do_locked (PfsJobs *jobs);
/* Is it to be logged that the mount is stalled? Once, as long as it has jobs. */
bool pfs_jobs_say_locked (PfsJobs *jobs, const PfsNodeMount *place);

/* --- tend.c --- */

/* The caller of that request has got a signal. False: there is none of that number (yet). */
bool pfs_request_interrupt_locked (PfsJobs *jobs, guint64 unique);
/* Answers with an error; the request may be answered already. */
void pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r);
/* None is to wait any longer. */
void pfs_requests_end_locked (PfsJobs *jobs);
/* Answers callers that wait in vain, and has others tried again. In how many milliseconds it is to be called again;
 * -1: once `wake` is readable. */
int pfs_requests_tend (PfsJobs *jobs);

/* --- dispatch.c --- */

#define PFS_STRANGERS 16u

/* What a thread that receives has, and remembers of callers, by their number: until then none of our threads has it. */
typedef struct {
  struct fuse_buf buf;
  struct {
    pid_t pid;
    gint64 until; /* milliseconds, as pfs_now() */
  } strangers[PFS_STRANGERS];
} PfsReceiver;

/* What the request in its buffer is about, which is kept from here on. */
PfsRequest pfs_dispatch_look (PfsJobs *jobs, PfsReceiver *receiver);
/* Answers that request, which buf is, or leaves that to a job. */
void pfs_dispatch_locked (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf);
