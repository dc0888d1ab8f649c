/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few O_PATH descriptors of directories of peers, for a second each: an open descriptor keeps a peer's mount busy. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "peerfs/tree/node.h"

typedef struct PfsFdCache PfsFdCache;
typedef struct PfsMount PfsMount;

#define PFS_FD_IDLE (G_USEC_PER_SEC / 2) /* swept once it has been idle for that long */

/* A descriptor in use: close-safe while somebody holds a reference. */
typedef struct {
  gint refs;
  int fd;
  PfsMount *mount; /* what it was found to lie on: a reference */
} PfsDirFd;

PfsDirFd *pfs_dir_fd_new (int fd, PfsMount *mount); /* takes over fd; one reference */
PfsDirFd *pfs_dir_fd_ref (PfsDirFd *dir);
void pfs_dir_fd_unref (PfsDirFd *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsDirFd, pfs_dir_fd_unref)

PfsFdCache *pfs_fd_cache_new (void);
void pfs_fd_cache_free (PfsFdCache *cache);

/* A reference to the directory's descriptor, or NULL. */
PfsDirFd *pfs_fd_cache_get (PfsFdCache *cache, PfsNode *dir);

/* Keeps a reference to dir and fd; the one least recently used may go for it. True where the cache was empty before. */
bool pfs_fd_cache_put (PfsFdCache *cache, PfsNode *dir, PfsDirFd *fd);

/* Drops what was last used at or before `before`; returns when the oldest one left was used (G_MAXINT64: none left). */
gint64 pfs_fd_cache_drop_idle (PfsFdCache *cache, gint64 before);

bool pfs_fd_cache_has (PfsFdCache *cache, PfsContainer *container);

/* Drops those of a container; NULL: all. */
void pfs_fd_cache_drop_container (PfsFdCache *cache, PfsContainer *container);
