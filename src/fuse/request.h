/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a request to a caller and a node; from a result to a reply. */
#pragma once

#include "private.h"

/* A request while it is answered: its caller, what it is about, and what came of it so far. */
typedef struct {
  PfsCaller who; /* the first; groups is read only if they mean anything beside its capabilities */
  gid_t *groups;
  fuse_req_t req;
  PfsNode *node; /* borrowed */
  int r;         /* 0 or -errno */
} PfsCall;

/* Begins a request about an open file (fi), or about the node of that number (fi is NULL): then r is what the node's
 * gate says of the caller. Capabilities are learnt only if they matter. This is for requests that change nothing: if
 * the caller is killed before that, and another process has got its number, nobody sees the answer. */
PfsCall pfs_call_reading (fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi);
/* The same for a change, with the caller's capabilities. r_else: what it comes to outside of root/. */
PfsCall pfs_call_changing (fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi, int r_else);
void pfs_call_clear (PfsCall *call);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsCall, pfs_call_clear)

static inline PfsSession *
pfs_request_session (fuse_req_t req)
{
  return fuse_req_userdata (req);
}

/* What the kernel names by a number. For a file that is our pointer (NULL: no file), which the kernel tells no caller.
 * It does tell the numbers of nodes (name_to_handle_at(2)). A number that is no node's gives one whose operations are
 * all -ESTALE. */
PfsNode *pfs_request_node (fuse_req_t req, fuse_ino_t ino);
PfsFile *pfs_request_file (const struct fuse_file_info *fi);

/* Each answers the request, once: with -errno if r is that. Else with nothing, the number of bytes done, an entry (its
 * reference is taken over) or attributes. */
void pfs_reply (fuse_req_t req, int r);
void pfs_reply_count (fuse_req_t req, ssize_t r);
void pfs_reply_entry (PfsCall *call, PfsEntry *entry);
void pfs_reply_attr (PfsCall *call, const struct stat *attr);
void pfs_entry_param (const PfsEntry *entry, struct fuse_entry_param *ret);

/* The kernel gets the file (its reference is taken over) by an open or create. -ENOMEM: what is open in its container
 * keeps too much memory already; then the file is gone. */
int pfs_session_add_file (PfsSession *session, PfsFile *file);
/* May one more be opened? Else -EMFILE: a container may take half of the descriptors that others have left, so that its
 * callers cannot take them all. */
int pfs_session_may_open (PfsSession *session, PfsNode *node);
void pfs_session_drop_file (PfsSession *session, PfsFile *file);
