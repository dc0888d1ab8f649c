/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a request to a caller and a node; from a result to a reply. */
#include "request.h"

#include <errno.h>
#include <linux/capability.h>
#include <unistd.h>

#include "peerfs/proc/proc.h"
#include "jobs.h"
#include "trim.h"
#include "private.h"

#define OPEN_SIZE_MAX (16u << 20) /* bytes that open generated files of one container may keep */

/* The caller waits for the answer: only until then its pid is its own. */
static void
learn (PfsCaller *who)
{
  PfsCall *call = (PfsCall *) who;
  const PfsSession *session = pfs_request_session (call->req);

  who->caps = pfs_caps_of (session->proc_fd, who->pid, session->user_ns);
  if (who->caps && pfs_proc_is_worker (session->proc_fd, who->pid))
    who->caps = 0;
  bool has_groups = (who->caps & PFS_CAPS_OF_ALL_GROUPS) != PFS_CAPS_OF_ALL_GROUPS && (session->caps || !who->own_ids);
  who->switching = !who->own_ids || has_groups || (session->caps & ~who->caps);
  if (has_groups && pfs_groups_of (session->proc_fd, who->pid, &call->groups, &who->n_groups) == 0)
    who->groups = call->groups;
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

PfsNode *
pfs_request_node (fuse_req_t req, fuse_ino_t ino)
{
  PfsTree *tree = pfs_request_session (req)->tree;
  PfsNode *node = pfs_request_held_node (ino);

  if (!node)
    node = pfs_tree_node (tree, ino);
  return node ? node : pfs_tree_nowhere (tree);
}

PfsFile *
pfs_request_file (const struct fuse_file_info *fi)
{
  return fi ? (PfsFile *) (uintptr_t) fi->fh : NULL;
}

void
pfs_reply (fuse_req_t req, int r)
{
  fuse_reply_err (req, -r);
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

/* What callers have open in one container. */
typedef struct {
  guint files;
  size_t size; /* bytes that they keep */
} Open;

/* Counts a file: false if it does not fit. */
static bool
count_locked (PfsSession *session, PfsContainer *container, size_t size)
{
  Open *open = g_hash_table_lookup (session->open_files, container);

  if (size > 0 && (open ? open->size : 0) + size > OPEN_SIZE_MAX)
    return false;
  if (!open) {
    open = g_new0 (Open, 1);
    g_hash_table_insert (session->open_files, container, open);
  }
  open->files++;
  open->size += size;
  session->n_open_files++;
  return true;
}

static void
uncount_locked (PfsSession *session, PfsContainer *container, size_t size)
{
  Open *open = g_hash_table_lookup (session->open_files, container);

  open->size -= size;
  session->n_open_files--;
  if (--open->files == 0)
    g_hash_table_remove (session->open_files, container);
}

int
pfs_session_may_open (PfsSession *session, PfsNode *node)
{
  PfsContainer *container = pfs_node_mount_container (node);

  if (!container)
    return 0;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&session->lock);
  const Open *open = g_hash_table_lookup (session->open_files, container);

  return (open ? open->files : 0) + session->n_open_files < session->open_files_max ? 0 : -EMFILE;
}

/* The top belongs to no container, and is not counted. */
int
pfs_session_add_file (PfsSession *session, PfsFile *file)
{
  PfsContainer *container = pfs_node_mount_container (file->node);

  g_mutex_lock (&session->lock);
  bool fits = !container || count_locked (session, container, pfs_file_size_held (file));
  if (fits)
    g_hash_table_add (session->files, file);
  g_mutex_unlock (&session->lock);
  if (!fits)
    pfs_file_unref (file);
  return fits ? 0 : -ENOMEM;
}

void
pfs_session_drop_file (PfsSession *session, PfsFile *file)
{
  PfsContainer *container = pfs_node_mount_container (file->node);

  g_mutex_lock (&session->lock);
  if (g_hash_table_steal (session->files, file) && container)
    uncount_locked (session, container, pfs_file_size_held (file));
  g_mutex_unlock (&session->lock);
  pfs_file_unref (file);
}
