/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who wait for a lock: one thread tries again for all of them, so that nobody else waits. */
#pragma once

#include "private.h"

typedef struct PfsLockWait PfsLockWait;
/* 0, -EAGAIN: not yet, or another -errno. */
typedef int (*PfsLockTry) (gpointer data);

PfsLockWait *pfs_lock_wait_new (PfsSession *session);
/* Interrupts all of them: false if one waits for a mount that does not answer, and is still there. */
bool pfs_lock_wait_end (PfsLockWait *wait);
void pfs_lock_wait_free (PfsLockWait *wait);    /* once nobody is there */

/* Tries again and again, and answers the request with what comes of it, or -EINTR. Takes over data, which free_data frees,
 * and a reference to the file. -ENOLCK: too many wait; the request is not answered, data is freed. */
int pfs_lock_wait (PfsLockWait *wait, fuse_req_t req, PfsFile *file, PfsLockTry try, gpointer data,
                   GDestroyNotify free_data);
/* Some lock has been given up. */
void pfs_lock_wait_poke (PfsLockWait *wait);
