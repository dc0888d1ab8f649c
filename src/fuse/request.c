/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a request to a caller and a node; from a result to a reply. */
#include "request.h"

#include <linux/capability.h>

#include "peerfs/proc/proc.h"
#include "private.h"

/* The caller waits for the answer: only until then its pid is its own. */
static void
learn (PfsCaller *who)
{
  PfsCall *call = (PfsCall *) who;
  const PfsSession *session = pfs_request_session (call->req);
  char name[32];

  who->caps = pfs_caps_of (session->proc_fd, who->pid, session->user_ns);
  if (who->caps && pfs_proc_is_worker (session->proc_fd, who->pid))
    who->caps = 0;
  bool has_groups = (who->caps & PFS_CAPS_OF_ALL_GROUPS) != PFS_CAPS_OF_ALL_GROUPS && (session->caps || !who->own_ids);
  who->switching = !who->own_ids || has_groups || (session->caps & ~who->caps);
  g_auto (PfsStatus) status = { .groups = NULL };
  g_snprintf (name, sizeof name, "%d/status", (int) who->pid);
  if (has_groups && pfs_proc_status_at (session->proc_fd, name, &status) == 0) {
    who->n_groups = status.n_groups;
    who->groups = call->groups = g_steal_pointer (&status.groups);
  }
}

static PfsCall
begin (fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
  const struct fuse_ctx *ctx = fuse_req_ctx (req);
  const PfsSession *session = pfs_request_session (req);

  return (PfsCall) {
    .who = {
      .uid = ctx->uid,
      .gid = ctx->gid,
      .pid = ctx->pid,
      .umask = ctx->umask,
      .switching = true,
      .own_ids = ctx->uid == session->uid && ctx->gid == session->gid,
      .learn = learn,
    },
    .req = req,
    .node = fi ? pfs_request_file (fi)->node : pfs_request_node (req, ino),
  };
}

PfsCall
pfs_call_reading (fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
  PfsCall call = begin (req, ino, fi);

  call.r = fi ? 0 : pfs_node_gate (call.node, &call.who);
  return call;
}

PfsCall
pfs_call_changing (fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi, int r_else)
{
  PfsCall call = begin (req, ino, fi);

  (void) pfs_caller_known (&call.who);
  call.r = fi ? 0 : pfs_node_gate (call.node, &call.who);
  if (call.r == 0 && !call.node->ops->fs)
    call.r = r_else;
  return call;
}

void
pfs_call_clear (PfsCall *call)
{
  g_free (call->groups);
}

void
pfs_reply (fuse_req_t req, int r)
{
  fuse_reply_err (req, pfs_error_to_tell (r));
}

void
pfs_entry_param (const PfsEntry *entry, struct fuse_entry_param *ret)
{
  *ret = (struct fuse_entry_param) {
    .ino = entry->node->number,
    .attr = entry->attr,
    .attr_timeout = entry->attr_timeout,
    .entry_timeout = entry->entry_timeout,
  };
}

void
pfs_reply_count (fuse_req_t req, ssize_t r)
{
  if (r < 0)
    pfs_reply (req, (int) r);
  else
    fuse_reply_write (req, (size_t) r);
}

void
pfs_reply_attr (PfsCall *call, const struct stat *attr)
{
  if (call->r < 0)
    pfs_reply (call->req, call->r);
  else
    fuse_reply_attr (call->req, attr, pfs_node_attr_timeout (call->node, attr));
}

void
pfs_reply_entry (PfsCall *call, PfsEntry *entry)
{
  struct fuse_entry_param param;

  if (call->r < 0) {
    pfs_reply (call->req, call->r);
    return;
  }
  pfs_entry_param (entry, &param);
  pfs_node_remember (entry->node);
  pfs_trim_poke (pfs_request_session (call->req));
  if (fuse_reply_entry (call->req, &param) != 0)
    pfs_node_forget (entry->node, 1);
  pfs_node_unref (entry->node);
}
