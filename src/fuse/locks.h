/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks of callers on peers' files. */
#pragma once

#include "private.h"

PfsLocks *pfs_locks_new (PfsSession *session);
void pfs_locks_free (PfsLocks *locks);
/* Has anybody a POSIX lock on the node? */
bool pfs_locks_any (PfsLocks *locks, PfsNode *node);
/* The last close of a file: the locks of an open file description end with it. */
void pfs_locks_release (PfsLocks *locks, const PfsFile *file);
