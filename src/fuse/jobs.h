/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests under way. What lies on a mount that may not answer is done by threads of that mount, as a job; everything else
 * by the thread that received it. Both are in one list, so that a caller who is killed can be answered whatever his
 * request waits for. */
#pragma once

#include <linux/fuse.h>
#include <pthread.h>

#include "peerfs/base/fd.h"
#include "private.h"

/* One mount's threads, and of local ones as many requests again by those that receive. More than so many at once that wait
 * for a mount that does not answer are refused. */
#define PFS_MOUNT_THREADS 32u

typedef struct {
  GList link;                   /* in the list of all; requests.c */
  GList waiting;                /* in its pool's queue, until a thread takes it */
  const struct fuse_in_header *in;      /* NULL: work of our own */
  void (*func) (gpointer data); /* that work */
  gpointer data;
  PfsPlace place;
  PfsNode *nodes[2];            /* what it is about; known to the kernel until it is let go of */
  PfsFile *files[2];            /* references */
  gint64 since, interrupted;    /* milliseconds, as pfs_now(); 0: never */
  pthread_t thread;             /* only if it is running */
  bool running, answered;
} PfsRequest;

/* How many of the requests wait for a mount, and for anything in its container; and since more than a second. */
typedef struct {
  guint on_mount, in_container, stalled_on_mount, stalled_in_container;
} PfsCount;

/* An interrupt that was read before its request was in the list. */
typedef struct {
  guint64 unique;
  gint64 since;
} PfsEarly;

struct PfsJobs {
  PfsSession *session;
  int wake;                     /* eventfd, readable when pfs_jobs_tend() is to be called; borrowed */
  GMutex lock;                  /* guards what follows */
  GCond call, left;             /* on the first sleep threads that have nothing to do */
  GQueue requests;              /* of PfsRequest: all that are under way */
  GPtrArray *pools;             /* of mounts that have jobs */
  GArray *early;                /* of PfsEarly */
  guint threads, idle, called;
  bool stopping;
  gint64 tend_at;               /* when to look after those that may have to be answered; G_MAXINT64: none */
  guint64 said;                 /* the container that was last said to be stalled, by its serial, and when */
  gint64 said_at;
};

/* --- requests.c --- */

void pfs_request_add_locked (PfsJobs *jobs, PfsRequest *request);
PfsCount pfs_requests_count_locked (PfsJobs *jobs, const PfsPlace *place);
/* The caller of that request has got a signal. True: libfuse is to be told, too. It does not know a request that waits for
 * its turn, and would keep the interrupt, also of one that is answered without it. */
bool pfs_request_interrupt (PfsJobs *jobs, guint64 unique);
/* Answers with an error; the request may be answered already. */
void pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r);
