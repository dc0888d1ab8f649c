/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requests under way, as the rest of this folder sees them. requests.h has the model. */
#pragma once

#include "private.h"

/* NULL: errno says why. */
PfsJobs *pfs_jobs_new (PfsSession *session);
void pfs_jobs_free (PfsJobs *jobs);
/* Returns when the session has ended: 0, or the -errno that ended it. *ret_idle: no request is being answered any more.
 * Else some wait for what may never come, and only the end of the process ends them. */
int pfs_loop_run (PfsJobs *jobs, bool *ret_idle);
/* An eventfd(2), to be made readable after fuse_session_exit(). */
int pfs_loop_ended_fd (const PfsJobs *jobs);
/* Calls func about what lies on the node's file system: here, or as a job of a mount that may not answer. func keeps
 * the node by a reference of its own. */
void pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data);
/* Calls func as a job, unless it is under way already. */
void pfs_jobs_start (PfsJobs *jobs, void (*func) (gpointer data), gpointer data);
gint64 pfs_now (void); /* milliseconds */

/* 0, -EAGAIN: not yet, or another -errno. */
typedef int (*PfsRetry) (gpointer data);
/* Has the calling thread's request wait: `retry` is called again and again, and its result is the answer; a signal
 * makes it -EINTR. Takes over data, which free_data frees. -ENOLCK: too many wait; nothing is taken over. */
int pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data);
/* What they wait for may be there. */
void pfs_requests_poke (PfsJobs *jobs);
/* The node of that number, if the request that the calling thread is answering keeps it; else NULL. */
PfsNode *pfs_request_held_node (uint64_t number);
