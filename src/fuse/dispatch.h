/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who does what a request asks for. */
#pragma once

#include "requests.h"
#include "jobs.h"

/* What a thread that receives has found out about a caller, by its number: no other thread has that before `until`. */
typedef struct {
  pid_t pid;
  gint64 until; /* milliseconds, as pfs_now() */
} PfsStranger;

#define PFS_STRANGERS 16u /* callers that one thread remembers */

/* What the request is about, which is kept from here on. strangers are the calling thread's: PFS_STRANGERS of them. */
PfsRequest pfs_dispatch_look (PfsJobs *jobs, const struct fuse_in_header *in, PfsStranger *strangers);
/* Answers that request, which buf is, or leaves that to a job. */
void pfs_dispatch_locked (PfsJobs *jobs, PfsRequest *request, const struct fuse_buf *buf);
