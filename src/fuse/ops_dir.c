/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests about directories. */
#include <errno.h>

#include "ops.h"
#include "request.h"
#include "trim.h"
#include "private.h"

void
pfs_op_opendir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  PfsSession *session = pfs_request_session (req);
  PfsNode *dir = pfs_request_node (req, ino);
  PfsFile *file;

  int r = pfs_node_gate (dir, &requester.who);
  if (r == 0)
    r = pfs_session_may_open (session, dir);
  if (r == 0)
    r = dir->ops->opendir ? dir->ops->opendir (dir, &requester.who, &file) : -ENOTDIR;
  if (r < 0) {
    pfs_reply (req, r);
    return;
  }
  fi->fh = (uintptr_t) file;
  fi->cache_readdir = (file->file_flags & PFS_FILE_CACHE_DIR) != 0;
  fi->keep_cache = (file->file_flags & PFS_FILE_KEEP_CACHE) != 0;
  r = pfs_session_add_file (session, file);
  if (r < 0)
    pfs_reply (req, r);
  else if (fuse_reply_open (req, fi) != 0)
    pfs_session_drop_file (session, file);
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
emit_listing (PfsNode *dir, const PfsListing *listing, off_t off, Reply *reply)
{
  static const char *const dots[] = { ".", ".." };
  guint n = pfs_listing_size (listing);

  for (guint i = off < 0 ? 0 : (guint) MIN (off, (off_t) n + 2); i < n + 2; i++) {
    mode_t type = S_IFDIR;
    uint64_t ino = 0;
    const char *name = i < 2 ? dots[i] : pfs_listing_name (listing, i - 2, &type, &ino);

    if (i < 2)
      ino = pfs_node_ino (i == 1 && dir->parent ? dir->parent : dir);
    if (!emit (name, ino, type, (off_t) i + 1, NULL, reply))
      return;
  }
}

static void
read_directory (fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
  g_auto (PfsRequester) requester = pfs_requester_reading (req);
  g_autoptr (GPtrArray) known = g_ptr_array_new_with_free_func ((GDestroyNotify) pfs_node_unref);
  PfsFile *file = pfs_request_file (fi);
  g_autofree char *buffer = g_malloc (size);
  Reply reply = { req, buffer, size, 0, plus, known };
  int r = 0;

  if (file->listing)
    emit_listing (file->node, file->listing, off, &reply);
  else
    r = file->node->ops->fs->readdir (file, off, plus, &requester.who, emit, &reply);
  /* An error behind some names comes with the next read, at its offset. */
  if (r < 0 && reply.used == 0) {
    pfs_reply (req, r);
    return;
  }
  if (plus)
    pfs_trim_poke (pfs_request_session (req));
  if (fuse_reply_buf (req, buffer, reply.used) != 0)
    for (guint i = 0; i < known->len; i++)
      pfs_node_forget (known->pdata[i], 1);
}

void
pfs_op_readdir (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  (void) ino;
  read_directory (req, size, off, fi, false);
}

void
pfs_op_readdirplus (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
  (void) ino;
  read_directory (req, size, off, fi, true);
}
