/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has which POSIX locks. Each owner that the kernel names by a number gets a descriptor of its own for a node, with
 * open file description locks (fcntl(2)) on it, which conflict with POSIX locks and with each other. */
#pragma once

#include <fcntl.h>

#include "private.h"

typedef struct PfsOwners PfsOwners;

PfsOwners *pfs_owners_new (PfsSession *session);
void pfs_owners_free (PfsOwners *table);
/* Has anybody a lock on the node? */
bool pfs_owners_any (PfsOwners *table, PfsNode *node);
/* F_SETLK and F_GETLK for the owner of that number. 0 or -errno. */
int pfs_owners_set (PfsOwners *table, PfsFile *file, uint64_t id, const struct flock *lock);
int pfs_owners_get (PfsOwners *table, PfsFile *file, uint64_t id, struct flock *lock);
/* Drops all locks of an owner, or (id 0) of those that locked through the file. True: there were any. */
bool pfs_owners_drop (PfsOwners *table, const PfsFile *file, uint64_t id);
/* The other owners who have what that lock of the node would conflict with: uint64_t, g_array_unref(). */
GArray *pfs_owners_in_way (PfsOwners *table, PfsNode *node, uint64_t id, const struct flock *lock);
