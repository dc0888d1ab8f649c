/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who wait for a lock: each in a thread of its own, so that nobody else waits for it, and interruptible. */
#pragma once

#include <fcntl.h>

#include "private.h"

typedef struct PfsLockWait PfsLockWait;

PfsLockWait *pfs_lock_wait_new (void);
/* Interrupts all of them: false where one waits for a mount that does not answer, and is still there. */
bool pfs_lock_wait_end (PfsLockWait *wait);
void pfs_lock_wait_free (PfsLockWait *wait);    /* once nobody is there */

/* Each answers the request in its time and returns 1; or -ENOLCK where too many wait. Takes a reference to the file, and
 * over owner, which unref frees. */
int pfs_lock_wait_posix (PfsLockWait *wait, fuse_req_t req, PfsFile *file, int fd, const struct flock *lock,
                         GDestroyNotify unref, gpointer owner);
int pfs_lock_wait_flock (PfsLockWait *wait, fuse_req_t req, PfsFile *file, int op);
