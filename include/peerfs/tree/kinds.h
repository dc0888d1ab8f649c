/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The generated kinds of node, each in the source file of its name. What follows a peer's directory:
 *
 *   top -> peer, or for a node's containers
 *   top -> namespace -> pod -> peer
 *   peer -> id, pid (text)   root (root/rootfs.h)   sockets, env, maps, pids   proc (link)
 */
#pragma once

#include "peerfs/tree/node.h"
#include "peerfs/pod/table.h"

/* Every node at or below a container's directory begins with this: the instance it belongs to. */
typedef struct {
  PfsNode node;
  PfsContainer *container; /* a reference */
} PfsPeerNode;

extern const PfsNodeOps pfs_top_ops, pfs_peer_ops;

/* The container of a node below top; NULL for the top itself, namespaces and pods. Borrowed. */
PfsContainer *pfs_node_container (PfsNode *node);

/* pfs_node_child() of a node of the same container. ops->size >= sizeof (PfsPeerNode); ops->finalize ends in
 * pfs_peer_finalize(). */
PfsNode *pfs_peer_child (PfsNode *parent, const char *name, const PfsNodeOps *ops, PfsNodeInit init, gpointer data);
void pfs_peer_finalize (PfsNode *node);

/* Owner of /proc/<pid>/root (root if the process is not dumpable). -ESRCH once it has ended. */
int pfs_process_owner (const PfsProcess *process, uid_t *ret_uid, gid_t *ret_gid);

/* May this caller look into the container, as the kernel would decide it for /proc/<pid>/root (ptrace(2), "Ptrace
 * access mode checking")? 0, -EACCES, or -ESRCH. Root needs its capabilities like any caller; only the daemon itself
 * (pfs_caller_self) may always. A caller outside our PID namespace is refused: nothing is known of it. */
int pfs_peer_gate (PfsContainer *c, const PfsCaller *who);

/* The same for a node below a gate. The caller may have reached it by a handle, or before the main process executed
 * another program. Below root/ only callers that can open handles (CAP_DAC_READ_SEARCH) are asked about: one that has
 * gone in stays in, whatever user it becomes. 0 for other nodes; -ESTALE once the container has ended. */
int pfs_node_gate (PfsNode *node, const PfsCaller *who);

/* Each gives the child of a peer's directory with that name, as a reference. */
PfsNode *pfs_pids_new (PfsNode *peer, const char *name);
PfsNode *pfs_env_new (PfsNode *peer, const char *name);
PfsNode *pfs_maps_new (PfsNode *peer, const char *name);
PfsNode *pfs_maps_files_new (PfsNode *maps, const char *name); /* maps/files */
PfsNode *pfs_sockets_new (PfsNode *peer, const char *name);
