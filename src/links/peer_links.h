/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The links of one container while it has one main process. For another main process all links are made anew. */
#pragma once

#include "peerfs/pod/sockets.h"

#define PFS_PEER_LINKS_MARK ".peerfs" /* a link in each folder, to the name that it was made for */

typedef struct {
  PfsContainer *container; /* a reference */
  PfsProcess *main;        /* its main process, a reference */
  char *name;              /* the folder's: that of the container */
  int dirfd;               /* the folder */
  GHashTable *pids;        /* path -> target: what pids/ has, */
  GHashTable *sockets;     /* and sockets/ */
  GPtrArray *holders;      /* of PfsProcess: those that sockets/ leads through, but the main one */
  bool published;
} PfsPeerLinks;

/* Makes the folder dirfd/name for the container's present main process. -ESRCH: it has none. */
int pfs_peer_links_new (PfsContainer *c, int dirfd, const char *name, PfsPeerLinks **ret);
void pfs_peer_links_free (PfsPeerLinks *links);

/* Adds a struct pollfd for each process that a link leads through, to poll for its end. */
void pfs_peer_links_poll (const PfsPeerLinks *links, GArray *fds);

/* Brings pids/ up to date with the last scan, and sockets/ if asked, or if one of its processes has ended. -errno of
 * the first failure. */
int pfs_peer_links_update (PfsPeerLinks *links, bool sockets);
