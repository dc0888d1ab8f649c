/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that open files, and those about what is open as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "locks.h"
#include "ops.h"
#include "passthrough.h"
#include "request.h"
#include "private.h"

/* May a close of the file end POSIX locks? Of a file that is only read it seldom may, and nothing else needs a FLUSH:
 * nothing is held back that it could write. */
static bool
needs_flush (PfsSession *session, const PfsFile *file)
{
  return file->fd >= 0 && ((file->flags & O_ACCMODE) != O_RDONLY || pfs_locks_any (session->locks, file->node));
}

/* How the kernel treats an open file. Of a peer's file it may keep nothing: nobody tells us when the peer writes. With
 * direct I/O each read and write comes here, and the kernel refuses shared mappings, whose pages would be old, and
 * whose write-back would undo what the peer has written. Private ones it grants. */
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
  /* The kernel would read for all in the name of who opened the file first. */
  if (session->passthrough && is_peers && !is_volatile && !(file->file_flags & PFS_FILE_AS_CALLER))
    pfs_passthrough_open (session->passthrough, session->fuse, file, who, fi);
}

/* A request that was answered, even in vain, is gone: so it comes without. */
static void
forget_open (PfsSession *session, PfsFile *file)
{
  pfs_locks_release (session->locks, file);
  if (session->passthrough)
    pfs_passthrough_close (session->passthrough, session->fuse, file);
  pfs_session_drop_file (session, file);
}

/* Only a peer's own files can be written: what is generated is not, root's capabilities or not. */
static int
may_open (PfsSession *session, PfsNode *node, int flags, const PfsCaller *who)
{
  int r = pfs_node_gate (node, who);

  if (r < 0)
    return r;
  if (!node->ops->fs && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)))
    return -EROFS;
  return pfs_session_may_open (session, node);
}

void
pfs_op_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  bool only_read = (fi->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
  g_auto (PfsRequester) requester = only_read ? pfs_requester_reading (req) : pfs_requester (req);
  PfsSession *session = pfs_request_session (req);
  PfsNode *node = pfs_request_node (req, ino);
  PfsFile *file;

  int r = may_open (session, node, fi->flags, &requester.who);
  if (r == 0)
    r = node->ops->open ? node->ops->open (node, fi->flags, &requester.who, &file) : -EISDIR;
  if (r == 0) {
    open_info (req, file, &requester.who, fi);
    /* Others may find the file from here on. */
    r = pfs_session_add_file (session, file);
  }
  if (r < 0) {
    pfs_reply (req, r);
    return;
  }
  if (fuse_reply_open (req, fi) != 0)
    forget_open (session, file);
}

static void
reply_create (fuse_req_t req, PfsEntry *entry, PfsFile *file, const PfsCaller *who, struct fuse_file_info *fi)
{
  PfsSession *session = pfs_request_session (req);
  struct fuse_entry_param param;

  open_info (req, file, who, fi);
  /* A peer's file keeps no memory of ours: it always fits. */
  (void) pfs_session_add_file (session, file);
  pfs_entry_param (entry, &param);
  pfs_node_remember (entry->node);
  if (fuse_reply_create (req, &param, fi) != 0) {
    pfs_node_forget (entry->node, 1);
    forget_open (session, file);
  }
  pfs_node_unref (entry->node);
}

void
pfs_op_create (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;
  PfsFile *file;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = pfs_session_may_open (pfs_request_session (req), dir);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->create (dir, name, mode, fi->flags, &requester.who, &entry, &file) : -EROFS;
  if (r < 0)
    pfs_reply (req, r);
  else
    reply_create (req, &entry, file, &requester.who, fi);
}

void
pfs_op_tmpfile (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsNode *dir = pfs_request_node (req, parent);
  PfsEntry entry;
  PfsFile *file;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = pfs_session_may_open (pfs_request_session (req), dir);
  if (r == 0)
    r = dir->ops->fs ? dir->ops->fs->tmpfile (dir, mode, fi->flags, &requester.who, &entry, &file) : -EROFS;
  if (r < 0)
    pfs_reply (req, r);
  else
    reply_create (req, &entry, file, &requester.who, fi);
}

/* A lock by flock(2) ends with the open file, which the kernel may have to itself for a longer time: as the backing
 * file of others that are open. */
void
pfs_op_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  const PfsFile *file = pfs_request_file (fi);

  (void) ino;
  if (fi->flock_release && file->fd >= 0)
    flock (file->fd, LOCK_UN);
  forget_open (pfs_request_session (req), pfs_request_file (fi));
  pfs_reply (req, 0);
}

static int
sync_as (PfsFile *file, bool data, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = pfs_file_check (file);
  if (r < 0 || file->fd < 0)
    return r;
  r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  return (data ? fdatasync (file->fd) : fsync (file->fd)) < 0 ? pfs_file_error (file, -errno) : 0;
}

void
pfs_op_fsync (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);

  (void) ino;
  pfs_reply (req, sync_as (pfs_request_file (fi), datasync != 0, &requester.who));
}

void
pfs_op_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);
  PfsFile *file = pfs_request_file (fi);
  int r = pfs_file_check (file);

  (void) ino;
  if (r == 0) {
    pfs_auto_creds const PfsCaller *as = NULL;
    r = pfs_creds_take (&requester.who, &as);
    if (r == 0 && fallocate (file->fd, mode, offset, length) < 0)
      r = pfs_file_error (file, -errno);
  }
  pfs_reply (req, r);
}
