/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that open and close files and directories, and those that list directories. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "locks.h"
#include "request.h"
#include "private.h"

/* --- what is open --- */

/* May a close of the file end POSIX locks? Of a file that is only read it seldom may, and nothing else needs a FLUSH:
 * nothing is held back that it could write. */
static bool
needs_flush (PfsSession *session, const PfsFile *file)
{
  return file->fd >= 0 && ((file->flags & O_ACCMODE) != O_RDONLY || pfs_locks_any (session->locks, file->node));
}

/* How the kernel treats an open file. Of a peer's file it may keep nothing: nobody tells us when the peer writes. With
 * direct I/O each read and write comes here, and the kernel refuses shared mappings: their pages would be old, and
 * their write-back would undo what the peer has written. It grants private ones. */
static void
open_info (fuse_req_t req, PfsFile *file, const PfsCaller *who, struct fuse_file_info *fi)
{
  PfsSession *session = pfs_request_session (req);
  bool is_peers = file->fd >= 0 && file->node->ops->fs;
  bool is_volatile = (file->file_flags & PFS_FILE_DIRECT_IO) != 0;

  fi->fh = (uintptr_t) file;
  fi->direct_io = is_peers || is_volatile;
  fi->noflush = !needs_flush (session, file);
  if (file->file_flags & PFS_FILE_AS_CALLER)
    file->caps = pfs_caller_known (who)->caps;
  /* The kernel would read for all in the name of the first caller that opened the file. */
  if (is_peers && !is_volatile && !(file->file_flags & PFS_FILE_AS_CALLER))
    pfs_passthrough_open (session, file, who, fi);
}

/* Takes the session alone: after an answer, even a failed one, there is no request any more. */
static void
forget_open (PfsSession *session, PfsFile *file)
{
  pfs_locks_release (session, file);
  pfs_passthrough_close (session, file);
  pfs_session_drop_file (session, file);
}

static void
reply_open (PfsCall *call, PfsFile *file, struct fuse_file_info *fi)
{
  PfsSession *session = pfs_request_session (call->req);

  if (call->r == 0)
    call->r = pfs_session_add_file (session, file);
  if (call->r < 0)
    pfs_reply (call->req, call->r);
  else if (fuse_reply_open (call->req, fi) != 0)
    forget_open (session, file);
}

static void
may_open (PfsCall *call)
{
  if (call->r == 0)
    call->r = pfs_session_may_open (pfs_request_session (call->req), call->node);
}

void
pfs_op_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  /* Only a peer's own files can be written: what is generated cannot, whatever capabilities the caller has. */
  bool only_read = (fi->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
  g_auto (PfsCall) call = only_read ? pfs_call_reading (req, ino, NULL) : pfs_call_changing (req, ino, NULL, -EROFS);
  const PfsNodeOps *ops = call.node->ops;
  PfsFile *file;

  may_open (&call);
  if (call.r == 0)
    call.r = ops->open ? ops->open (call.node, fi->flags, &call.who, &file) : -EISDIR;
  if (call.r == 0)
    open_info (req, file, &call.who, fi);
  reply_open (&call, file, fi);
}

static void
reply_create (PfsCall *call, PfsEntry *entry, PfsFile *file, struct fuse_file_info *fi)
{
  PfsSession *session = pfs_request_session (call->req);
  struct fuse_entry_param param;

  if (call->r < 0) {
    pfs_reply (call->req, call->r);
    return;
  }
  open_info (call->req, file, &call->who, fi);
  /* A peer's file keeps no memory of ours: it always fits. */
  (void) pfs_session_add_file (session, file);
  pfs_entry_param (entry, &param);
  pfs_node_remember (entry->node);
  if (fuse_reply_create (call->req, &param, fi) != 0) {
    pfs_node_forget (entry->node, 1);
    forget_open (session, file);
  }
  pfs_node_unref (entry->node);
}

void
pfs_op_create (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);
  PfsEntry entry;
  PfsFile *file;

  may_open (&call);
  if (call.r == 0)
    call.r = pfs_rootfs_create (call.node, name, mode, fi->flags, &call.who, &entry, &file);
  reply_create (&call, &entry, file, fi);
}

void
pfs_op_tmpfile (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_changing (req, parent, NULL, -EROFS);
  PfsEntry entry;
  PfsFile *file;

  may_open (&call);
  if (call.r == 0)
    call.r = pfs_rootfs_tmpfile (call.node, mode, fi->flags, &call.who, &entry, &file);
  reply_create (&call, &entry, file, fi);
}

/* A lock by flock(2) ends with the caller's open file. The kernel may have the peer's file open for longer: as the
 * backing file of others. */
void
pfs_op_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  PfsFile *file = pfs_request_file (fi);

  (void) ino;
  if (fi->flock_release && file->fd >= 0)
    flock (file->fd, LOCK_UN);
  forget_open (pfs_request_session (req), file);
  pfs_reply (req, 0);
}

/* --- directories --- */

void
pfs_op_opendir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, NULL);
  const PfsNodeOps *ops = call.node->ops;
  PfsFile *file;

  may_open (&call);
  if (call.r == 0)
    call.r = ops->opendir ? ops->opendir (call.node, &call.who, &file) : -ENOTDIR;
  if (call.r == 0) {
    fi->fh = (uintptr_t) file;
    fi->cache_readdir = (file->file_flags & PFS_FILE_CACHE_DIR) != 0;
    fi->keep_cache = (file->file_flags & PFS_FILE_KEEP_CACHE) != 0;
  }
  reply_open (&call, file, fi);
}

/* A reply to readdir while it is filled. */
typedef struct {
  fuse_req_t req;
  char *buffer;
  size_t size, used;
  bool plus;
  GPtrArray *known; /* nodes that the kernel will know by this reply: each with its reference */
} Reply;

static bool
emit (const char *name, uint64_t ino, mode_t type, off_t next, PfsEntry *entry, gpointer data)
{
  Reply *reply = data;
  struct fuse_entry_param param = { .attr = { .st_ino = ino, .st_mode = type } };
  char *at = reply->buffer + reply->used;
  size_t left = reply->size - reply->used;
  size_t need;

  if (entry)
    pfs_entry_param (entry, &param);
  if (reply->plus)
    need = fuse_add_direntry_plus (reply->req, at, left, name, &param, next);
  else
    need = fuse_add_direntry (reply->req, at, left, name, &param.attr, next);
  if (need > left)
    return false;
  reply->used += need;
  if (entry) {
    pfs_node_remember (entry->node);
    g_ptr_array_add (reply->known, entry->node);
  }
  return true;
}

/* "." and ".." come first in a generated directory; an offset is the number of names before it. */
static void
emit_listing (PfsNode *dir, const GArray *listing, off_t off, Reply *reply)
{
  guint n = listing->len;

  for (guint i = off < 0 ? 0 : (guint) MIN (off, (off_t) n + 2); i < n + 2; i++) {
    PfsListed one = { i == 0 ? "." : "..", S_IFDIR, 0 };

    if (i < 2)
      one.ino = pfs_node_ino (i == 1 && dir->parent ? dir->parent : dir);
    else
      one = g_array_index (listing, PfsListed, i - 2);
    if (!emit (one.name, one.ino, one.type, (off_t) i + 1, NULL, reply))
      return;
  }
}

static void
read_directory (PfsCall *call, size_t size, off_t off, PfsFile *file, bool plus)
{
  g_autoptr (GPtrArray) known = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_node_unref);
  g_autofree char *buffer = g_malloc (size);
  Reply reply = { call->req, buffer, size, 0, plus, known };
  int r = 0;

  if (file->listing)
    emit_listing (file->node, file->listing, off, &reply);
  else
    r = pfs_rootfs_readdir (file, off, plus, &call->who, emit, &reply);
  /* An error behind some names comes with the next read, at its offset. */
  if (r < 0 && reply.used == 0) {
    pfs_reply (call->req, r);
    return;
  }
  if (plus)
    pfs_trim_poke (pfs_request_session (call->req));
  if (fuse_reply_buf (call->req, buffer, reply.used) != 0)
    for (guint i = 0; i < known->len; i++)
      pfs_node_forget (known->pdata[i], 1);
}

void
pfs_op_readdir (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, fi);

  read_directory (&call, size, off, pfs_request_file (fi), false);
}

void
pfs_op_readdirplus (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, fi);

  read_directory (&call, size, off, pfs_request_file (fi), true);
}
