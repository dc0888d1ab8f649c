/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The links of one container while it has one main process. For another main process all links are made anew. */
#pragma once

#include "peerfs/pod/sockets.h"

#define PFS_STAGE                                                                                                      \
  ".peerfs" /* our own folder in DIR: a folder for each container, which its name in DIR is a link to                  \
             */

typedef struct {
  PfsContainer *container; /* a reference */
  PfsProcess *main;        /* its main process, a reference */
  char *name;              /* the container's, */
  char *folder;            /* and that of its folder in STAGE */
  int top, stage, dirfd;   /* DIR and STAGE, borrowed; the folder */
  GHashTable *pids;        /* path -> target: what pids/ has, */
  GHashTable *sockets;     /* and sockets/ */
  GPtrArray *holders;      /* of PfsProcess: those that sockets/ leads through, but the main one */
  bool published;          /* has its name in DIR */
} PfsPeerLinks;

/* Makes a folder in stage for the container's present main process. -ESRCH: it has none. Free removes all of it. */
int pfs_peer_links_new (PfsContainer *c, int top, int stage, PfsPeerLinks **ret);
void pfs_peer_links_free (PfsPeerLinks *links);

/* Gives the folder its name in DIR, if it has not got it yet. -EEXIST: others have that. */
int pfs_peer_links_publish (PfsPeerLinks *links);

/* Removes the name from DIR if it is a link of ours. */
void pfs_peer_links_retract (int top, const char *name);

/* Adds a struct pollfd for each process that a link leads through, to poll for its end. */
void pfs_peer_links_poll (const PfsPeerLinks *links, GArray *fds);

/* Brings pids/ up to date with the last scan, and sockets/ if asked, or if one of its processes has ended. -errno of
 * the first failure. */
int pfs_peer_links_update (PfsPeerLinks *links, bool sockets);
