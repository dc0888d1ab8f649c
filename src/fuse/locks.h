/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks of callers on peers' files, set on these very files: so the peer's processes are excluded too. locks.c has the
 * requests. owners.c has the owners of POSIX locks: each that the kernel names by a number opens the node once for
 * itself, and has open file description locks (fcntl(2)) on that. They conflict with POSIX locks and with each other.
 */
#pragma once

#include <fcntl.h>

#include "private.h"

PfsLocks *pfs_locks_new (PfsSession *session);
void pfs_locks_free (PfsLocks *locks);
/* Are there POSIX locks on the node? */
bool pfs_locks_any (PfsLocks *locks, PfsNode *node);
/* F_SETLK and F_GETLK for the owner of that number. 0 or -errno. */
int pfs_locks_set (PfsLocks *locks, PfsFile *file, uint64_t id, const struct flock *lock);
int pfs_locks_get (PfsLocks *locks, PfsFile *file, uint64_t id, struct flock *lock);
/* Drops all locks of an owner, or (id 0) of those that locked through the file. True: there were any. */
bool pfs_locks_drop (PfsLocks *locks, const PfsFile *file, uint64_t id);

/* An owner that waits for a lock. */
typedef struct {
  uint64_t id;
  PfsNode *node;
  struct flock lock;
} PfsLockWait;

/* Remembers it until pfs_locks_wait_end(), which frees nothing. -EDEADLK: an owner in its way waits for this one,
 * itself or by others. The kernel cannot tell, as to it we are all of them. */
int pfs_locks_wait (PfsLocks *locks, const PfsLockWait *wait);
void pfs_locks_wait_end (PfsLocks *locks, const PfsLockWait *wait);

/* The last close of a file: the locks of an open file description end with it. */
void pfs_locks_release (PfsSession *session, const PfsFile *file);
