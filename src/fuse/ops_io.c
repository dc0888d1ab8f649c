/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests about the bytes of open files. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "request.h"
#include "private.h"

/* Whatever is done to a peer's file is done as the caller. */
static int
take (PfsFile *file, const PfsCaller *who, const PfsCaller **ret_as)
{
  int r = pfs_file_check (file);

  return r < 0 ? r : pfs_creds_take (who, ret_as);
}

/* If the kernel reads a page for a mapping, it takes fewer bytes than it asked for as the end of the file. So an error
 * after some bytes fails the whole request. A caller's own read(2) may be short; no other request has a lock owner. */
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

/* A file system may look at the caller, or ask another one in its name. The kernel also reads ahead of a caller, which
 * may be gone since: no more capabilities count than those that the file was opened with. */
static ssize_t
read_as (fuse_req_t req, PfsFile *file, char *mem, size_t size, off_t off, const struct fuse_file_info *fi)
{
  if (!(file->file_flags & PFS_FILE_AS_CALLER))
    return read_at (file, mem, size, off, fi);
  g_auto (PfsCall) call = pfs_call_reading (req, 0, fi);
  uint64_t more = pfs_caller_known (&call.who)->caps & ~file->caps;
  pfs_auto_creds const PfsCaller *as = NULL;

  call.who.caps &= ~more;
  call.who.switching = call.who.switching || (more & pfs_request_session (req)->caps);
  int r = pfs_creds_take (&call.who, &as);
  return r < 0 ? r : read_at (file, mem, size, off, fi);
}

static GPrivate buffer_key = G_PRIVATE_INIT (free);

/* What this thread reads into, aligned to pages. It is kept: else that much would be mapped, filled and
 * unmapped for each request. NULL: no memory. */
static void *
read_buffer (size_t size)
{
  void *mem = g_private_get (&buffer_key);

  if (mem && malloc_usable_size (mem) >= size)
    return mem;
  pfs_read_buffer_drop ();
  if (posix_memalign (&mem, (size_t) sysconf (_SC_PAGESIZE), size) != 0)
    return NULL;
  g_private_set (&buffer_key, mem);
  return mem;
}

void
pfs_read_buffer_drop (void)
{
  g_private_replace (&buffer_key, NULL);
}

void
pfs_op_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  /* The reply wakes the reader. Its close may come before the reply has returned here. */
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

/* The kernel writes a mapped page back: only an error tells that it was not written to its end. */
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

/* Written as the caller: then the kernel drops setuid bits and file capabilities as in the caller's own write. Each
 * request says if it appends: that of a mapped page does not, nor does one after F_SETFL has cleared O_APPEND. */
static ssize_t
write_as (PfsFile *file, const char *data, size_t size, off_t off, const struct fuse_file_info *fi,
          const PfsCaller *who)
{
  const struct iovec all = { (void *) data, size };
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = take (file, who, &as);
  if (r < 0)
    return r;
  ssize_t n = fi->writepage ? write_whole (file->fd, data, size, off)
                            : pwritev2 (file->fd, &all, 1, off, fi->flags & O_APPEND ? RWF_APPEND : 0);
  return n < 0 ? pfs_file_error (file, -errno) : n;
}

void
pfs_op_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, fi, -EBADF);

  pfs_reply_count (req, call.r < 0 ? call.r : write_as (pfs_request_file (fi), buf, size, off, fi, &call.who));
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
  g_auto (PfsCall) call = pfs_call_changing (req, ino, fi, 0);

  pfs_reply (req, sync_as (pfs_request_file (fi), datasync != 0, &call.who));
}

static int
allocate_as (PfsFile *file, int mode, off_t offset, off_t length, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = take (file, who, &as);
  if (r == 0 && fallocate (file->fd, mode, offset, length) < 0)
    r = pfs_file_error (file, -errno);
  return r;
}

void
pfs_op_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino, fi, -EBADF);

  pfs_reply (req, call.r < 0 ? call.r : allocate_as (pfs_request_file (fi), mode, offset, length, &call.who));
}

static off_t
seek_as (PfsFile *file, off_t off, int whence, const PfsCaller *who)
{
  pfs_auto_creds const PfsCaller *as = NULL;

  int r = take (file, who, &as);
  if (r < 0)
    return r;
  off_t found = lseek (file->fd, off, whence);
  return found < 0 ? pfs_file_error (file, -errno) : found;
}

void
pfs_op_lseek (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
  g_auto (PfsCall) call = pfs_call_reading (req, ino, fi);

  off_t found = seek_as (pfs_request_file (fi), off, whence, &call.who);
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
  if (r == 0 && (in->fd < 0 || out->fd < 0))
    r = -EOPNOTSUPP;
  if (r == 0)
    r = take (out, who, &as);
  if (r < 0)
    return r;
  ssize_t n = copy_file_range (in->fd, &off_in, out->fd, &off_out, len, flags);
  return n < 0 ? pfs_file_error (in, pfs_file_error (out, -errno)) : n;
}

void
pfs_op_copy_file_range (fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                        fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
  g_auto (PfsCall) call = pfs_call_changing (req, ino_in, fi_in, -EOPNOTSUPP);
  PfsFile *in = pfs_request_file (fi_in), *out = pfs_request_file (fi_out);

  (void) ino_out;
  pfs_reply_count (req, call.r < 0 ? call.r : copy_as (in, off_in, out, off_out, len, (unsigned int) flags, &call.who));
}
