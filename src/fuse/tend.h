/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers in the place of a thread that waits for what may never come, and requests that are tried again. */
#pragma once

#include "requests.h"

/* The caller of that request has got a signal. False: there is none of that number (yet). */
bool pfs_request_interrupt_locked (PfsJobs *jobs, guint64 unique);
/* Answers with an error; the request may be answered already. */
void pfs_request_refuse (PfsJobs *jobs, guint64 unique, int r);
/* None is to wait any longer. */
void pfs_requests_end_locked (PfsJobs *jobs);
/* Answers callers who wait in vain, and has others tried again. In how many milliseconds it is to be called again; -1:
 * once `wake` is readable. */
int pfs_requests_tend (PfsJobs *jobs);
