/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The links of one container, while it has one main process: another main process means other links, all made anew. */
#pragma once

#include "peerfs/pod/sockets.h"

typedef struct {
  PfsProcessId process;
  int pidfd;
} PfsHolder;

typedef struct {
  PfsContainer *container; /* a reference */
  pid_t pid;               /* the main process */
  int pidfd;               /* of it; -1 where there is none: then only a scan tells of its end */
  char *name;              /* the folder's: that of the container */
  int dirfd;               /* the folder */
  GHashTable *pids;        /* a set of pids: those that have a link */
  GBytes *sockets;         /* what sockets/ shows, as a text to compare */
  GArray *holders;         /* of PfsHolder: the processes that sockets/ leads through, but the main one */
  bool published;
} PfsPeerLinks;

/* Makes the folder dirfd/name for the container's main process of now. -ESRCH: it has none. */
int pfs_peer_links_new (PfsContainer *c, int dirfd, const char *name, PfsPeerLinks **ret);
void pfs_peer_links_free (PfsPeerLinks *links);

/* Is this still what the last scan of the table says of the container? */
bool pfs_peer_links_hold (const PfsPeerLinks *links);

/* Has the main process ended? By its pidfd alone. */
bool pfs_peer_links_ended (const PfsPeerLinks *links);

/* Adds what has to be polled for the end of a process that a link leads through: struct pollfd. */
void pfs_peer_links_poll (const PfsPeerLinks *links, GArray *fds);

/* Brings pids/ up to date with the last scan, and sockets/ if asked, or if one of its processes has ended. -errno of
 * the first failure. */
int pfs_peer_links_update (PfsPeerLinks *links, bool sockets);
