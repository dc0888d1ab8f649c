/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests about open files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

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

/* What a thread reads into: kept, for a mebibyte anew for each request is a mapping to be made, filled, taken away. */
typedef struct {
  size_t size;
  void *mem;
} ReadBuffer;

static void
read_buffer_free (gpointer data)
{
  ReadBuffer *buffer = data;

  free (buffer->mem);
  g_free (buffer);
}

static GPrivate read_buffer_key = G_PRIVATE_INIT (read_buffer_free);

/* Aligned as O_DIRECT wants it. NULL: no memory. */
static void *
read_buffer (size_t size)
{
  ReadBuffer *buffer = g_private_get (&read_buffer_key);

  if (!buffer) {
    buffer = g_new0 (ReadBuffer, 1);
    g_private_set (&read_buffer_key, buffer);
  }
  if (buffer->size < size) {
    g_clear_pointer (&buffer->mem, free);
    buffer->size = posix_memalign (&buffer->mem, (size_t) sysconf (_SC_PAGESIZE), size) == 0 ? size : 0;
  }
  return buffer->size > 0 ? buffer->mem : NULL;
}

void
pfs_read_buffer_drop (void)
{
  g_private_replace (&read_buffer_key, NULL);
}

/* Of a page that it maps the kernel takes fewer bytes than it asked for to be the end of the file: so an error after
 * some bytes is one of the whole request. Not so where it passes on the caller's own read(2), which alone has an owner.
 */
static ssize_t
read_at (PfsFile *file, char *mem, size_t size, off_t off, const struct fuse_file_info *fi)
{
  bool passed_on = (file->file_flags & PFS_FILE_DIRECT_IO) || fi->lock_owner != 0;
  size_t done = 0;

  while (done < size) {
    ssize_t n = pread (file->fd, mem + done, size - done, off + (off_t) done);

    if (n < 0)
      return pfs_file_error (file, -errno);
    done += (size_t) n;
    if (n == 0 || passed_on)
      break;
  }
  return (ssize_t) done;
}

/* A file system may look at who reads, or be asked in his name. The kernel also reads ahead of a caller, who may have
 * gone since: no more capabilities count than those that the file was opened with. */
static ssize_t
read_as (fuse_req_t req, PfsFile *file, char *mem, size_t size, off_t off, const struct fuse_file_info *fi)
{
  if (!(file->file_flags & PFS_FILE_AS_CALLER))
    return read_at (file, mem, size, off, fi);
  g_auto (PfsRequester) requester = pfs_requester (req);
  uint64_t more = requester.who.caps & ~file->caps;
  pfs_auto_creds const PfsCaller *as = NULL;

  requester.who.caps &= ~more;
  requester.who.switching = requester.who.switching || (more & pfs_request_session (req)->caps);
  int r = pfs_creds_take (&requester.who, &as);
  return r < 0 ? r : read_at (file, mem, size, off, fi);
}

void
pfs_op_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  /* The reply wakes the reader, whose close may come before it has returned here. */
  g_autoptr (PfsFile) file = pfs_file_ref (pfs_request_file (fi));

  (void) ino;
  if (file->content) {
    gsize length;
    const char *content = g_bytes_get_data (file->content, &length);
    size_t from = off < 0 ? length : (size_t) MIN ((gsize) off, length);

    fuse_reply_buf (req, content + from, MIN (size, length - from));
    return;
  }
  int r = pfs_file_check (file);
  if (r < 0) {
    pfs_reply (req, r);
    return;
  }
  void *mem = read_buffer (size);
  ssize_t n = mem ? read_as (req, file, mem, size, off, fi) : -ENOMEM;
  if (n < 0)
    pfs_reply (req, (int) n);
  else
    fuse_reply_buf (req, mem, (size_t) n);
}

/* Of a mapped page that the kernel writes back nobody learns that it was not written to its end, but by an error. */
static ssize_t
write_whole (int fd, const char *data, size_t size, off_t off)
{
  size_t done = 0;

  while (done < size) {
    ssize_t n = pwrite (fd, data + done, size - done, off + (off_t) done);

    if (n <= 0)
      return n < 0 ? n : (errno = EIO, -1);
    done += (size_t) n;
  }
  return (ssize_t) done;
}

/* Written as the caller: the kernel then drops setuid bits and file capabilities as it would for him. Whether it goes
 * to the end is said by each request, for it is not so for mapped pages, nor after F_SETFL. */
static ssize_t
write_as (PfsFile *file, const char *data, size_t size, off_t off, const struct fuse_file_info *fi,
          const PfsCaller *who)
{
  const struct iovec all = { (void *) data, size };
  pfs_auto_creds const PfsCaller *as = NULL;
  int r = pfs_file_check (file);

  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  ssize_t n = fi->writepage ? write_whole (file->fd, data, size, off)
                            : pwritev2 (file->fd, &all, 1, off, fi->flags & O_APPEND ? RWF_APPEND : 0);
  return n < 0 ? pfs_file_error (file, -errno) : n;
}

void
pfs_op_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);

  (void) ino;
  ssize_t n = write_as (pfs_request_file (fi), buf, size, off, fi, &requester.who);
  if (n < 0)
    pfs_reply (req, (int) n);
  else
    fuse_reply_write (req, (size_t) n);
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

static off_t
seek_as (PfsFile *file, off_t off, int whence, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = pfs_file_check (file);
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  off_t found = lseek (file->fd, off, whence);
  return found < 0 ? pfs_file_error (file, -errno) : found;
}

void
pfs_op_lseek (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester (req);

  (void) ino;
  off_t found = seek_as (pfs_request_file (fi), off, whence, &requester.who);
  if (found < 0)
    pfs_reply (req, (int) found);
  else
    fuse_reply_lseek (req, found);
}

static ssize_t
copy_as (PfsFile *in, off_t off_in, PfsFile *out, off_t off_out, size_t len, unsigned int flags, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = pfs_file_check (in);
  if (r == 0)
    r = pfs_file_check (out);
  if (r == 0 && (in->fd < 0 || out->fd < 0))
    r = -EOPNOTSUPP;
  if (r == 0)
    r = pfs_creds_take (who, &as);
  if (r < 0)
    return r;
  ssize_t n = copy_file_range (in->fd, &off_in, out->fd, &off_out, len, flags);
  return n < 0 ? pfs_file_error (in, pfs_file_error (out, -errno)) : n;
}

void
pfs_op_copy_file_range (fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                        fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
  g_auto (PfsRequester) requester = pfs_requester (req);

  (void) ino_in, (void) ino_out;
  ssize_t n = copy_as (pfs_request_file (fi_in), off_in, pfs_request_file (fi_out), off_out, len, (unsigned int) flags,
                       &requester.who);
  if (n < 0)
    pfs_reply (req, (int) n);
  else
    fuse_reply_write (req, (size_t) n);
}
