/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is under way, and who does it, for those who only use it: loop.c, jobs.c, tend.c, requests.c; see requests.h. */
#pragma once

#include "private.h"

/* NULL: errno says why. */
PfsJobs *pfs_jobs_new (PfsSession *session);
void pfs_jobs_free (PfsJobs *jobs);
/* Returns when the session has ended: 0, or the -errno that ended it. *ret_idle: no request is being answered any more.
 * Else some wait for what may never come, and the process has to end. */
int pfs_loop_run (PfsJobs *jobs, bool *ret_idle);
/* Whoever ends the session (fuse_session_exit()) has to make it readable: eventfd(2). */
int pfs_loop_ended_fd (const PfsJobs *jobs);
/* Calls func about what lies on the node's file system: here, or as a job of a mount that may not answer. func keeps
 * the node by a reference of its own. */
void pfs_jobs_run (PfsJobs *jobs, PfsNode *node, void (*func) (gpointer data), gpointer data);
/* Calls func as a job, unless it is under way already. */
void pfs_jobs_start (PfsJobs *jobs, void (*func) (gpointer data), gpointer data);
gint64 pfs_now (void); /* milliseconds */

/* 0, -EAGAIN: not yet, or another -errno. */
typedef int (*PfsRetry) (gpointer data);
/* The request that the calling thread is about to answer has to wait: it is tried again and again, and answered with
 * what comes of it, or -EINTR. Takes over data, which free_data frees. -ENOLCK: too many wait; nothing is taken over.
 */
int pfs_request_retry (PfsJobs *jobs, fuse_req_t req, PfsRetry retry, gpointer data, GDestroyNotify free_data);
/* What they wait for may be there. */
void pfs_requests_poke (PfsJobs *jobs);
/* The node of that number, if the request that the calling thread is answering keeps it; else NULL. */
PfsNode *pfs_request_held_node (uint64_t number);
