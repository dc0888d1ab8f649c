/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests under way, and the threads that serve them. What lies on a mount that may not answer is done as a job of
 * that mount, of which only so many run at once; everything else by the thread that received it. All are in one list,
 * so that a caller who is killed can be answered whatever his request waits for. */
#pragma once

#include <linux/fuse.h>
#include <pthread.h>

#include "peerfs/base/fd.h"
#include "private.h"

/* One mount's jobs at once, and of local ones as many requests again by those that receive. More than so many that wait
 * for a mount that does not answer are refused. */
#define PFS_MOUNT_THREADS 32u

typedef struct {
  GList link;                      /* in the list of those under way, or of those that are to be tried again */
  GList waiting;                   /* in its pool's queue, until a thread takes it */
  const struct fuse_in_header *in; /* NULL: work of our own */
  void (*work) (gpointer data);    /* that work */
  PfsRetry retry;                  /* NULL, or how to go on with what has to wait, to answer req */
  GDestroyNotify free_data;
  gpointer data;
  fuse_req_t req;
  PfsPlace place;
  PfsNode *nodes[2];         /* what it is about; known to the kernel until it is let go of */
  PfsFile *files[2];         /* references */
  gint64 since, interrupted; /* milliseconds, as pfs_now(); 0: never */
  gint64 asked, due;         /* of one that waits: since when, and until when */
  pthread_t thread;          /* only if it is running */
  bool running, answered;
  bool here; /* a thread that receives is doing it */
} PfsRequest;

/* What a thread that receives has found out about a caller, by its number: no other thread has that before `until`. */
typedef struct {
  pid_t pid;
  gint64 until; /* milliseconds, as pfs_now() */
} PfsStranger;

#define PFS_STRANGERS 16u /* callers that one thread remembers */

/* How many of the requests wait for a mount, and for anything in its container; and since more than a second. Of all,
 * and of those of the container, how many take a thread that receives. */
typedef struct {
  guint on_mount, in_container, stalled_on_mount, stalled_in_container;
  guint here, here_of_container;
} PfsCount;

struct PfsJobs {
  PfsSession *session;
  int ended; /* eventfd, readable once the session has ended */
  int wake;  /* eventfd, on which the main thread sleeps */
  guint cpus;
  GMutex lock;      /* guards what follows */
  GQueue requests;  /* of PfsRequest: all that are under way */
  GQueue later;     /* of PfsRequest: those that wait to be tried again */
  GPtrArray *pools; /* of mounts that have jobs; jobs.c */
  gint64 tend_at;   /* when to look after those that may have to be answered; G_MAXINT64: none */
  guint64 said;     /* the container that was last said to be stalled, by its serial, and when */
  gint64 said_at;
  /* loop.c: */
  GCond call, left;                     /* on the first sleep threads that have nothing to do */
  int error;                            /* -errno */
  guint threads, running, idle, called; /* all; those with a job; those that sleep; and are being woken */
  guint receiving, receiving_max;       /* threads that wait for a request */
  guint calm;                           /* ticks */
  guint64 taken, seen_taken;            /* requests, and how many there were at the last look */
  guint64 drained, seen_drained;        /* how often a thread found none */
  bool asleep, woken, stopping;         /* the main thread sleeps for good; it was woken by a request */
};

/* All functions that end in _locked are called, and return, with the lock. */

/* --- loop.c --- */

/* Wakes or makes a thread: false if none is to be had. */
bool pfs_loop_call_locked (PfsJobs *jobs);
/* The thread that calls it has received a request; drained: it had to wait for it. */
void pfs_loop_took_locked (PfsJobs *jobs, bool drained);

/* --- jobs.c --- */

/* Answers the request, or leaves that to a job. strangers are the calling thread's: PFS_STRANGERS of them. */
void pfs_jobs_dispatch_locked (PfsJobs *jobs, const struct fuse_buf *buf, bool drained, PfsStranger *strangers);
/* Takes the request over; false: nobody would ever do it, for no thread is to be had. */
bool pfs_jobs_push_locked (PfsJobs *jobs, PfsRequest *request);
/* Does one job, if one may be done. */
bool pfs_jobs_do_locked (PfsJobs *jobs);

/* --- requests.c --- */

/* What the calling thread is answering from now on. */
void pfs_request_set_mine (PfsRequest *request);
void pfs_request_add_locked (PfsJobs *jobs, PfsRequest *request);
PfsCount pfs_requests_count_locked (PfsJobs *jobs, const PfsPlace *place);
/* The caller of that request has got a signal. False: there is none of that number (yet). */
bool pfs_request_interrupt_locked (PfsJobs *jobs, guint64 unique);
/* Answers with an error; the request may be answered already. */
void pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r);
/* It is to be tried again. */
void pfs_request_later_locked (PfsJobs *jobs, PfsRequest *request);
/* None is to wait any longer. */
void pfs_requests_end_locked (PfsJobs *jobs);
/* Answers callers who wait in vain, and has others tried again. In how many milliseconds it is to be called again; -1:
 * once `wake` is readable. */
int pfs_requests_tend (PfsJobs *jobs);
