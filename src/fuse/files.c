/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel names by a number, and the files that it has open: counted, so that each container gets its share.
 * test/tsan/fuse.c wraps these functions: only calls from other files are. */
#include <errno.h>

#include "requests.h"
#include "request.h"

#define OPEN_SIZE_MAX (16u << 20) /* bytes that open generated files of one container may keep */

PfsNode *
pfs_request_node (fuse_req_t req, fuse_ino_t ino)
{
  PfsNode *node = pfs_request_held_node (ino);

  return node ? node : pfs_tree_node (pfs_request_session (req)->tree, ino);
}

PfsFile *
pfs_request_file (const struct fuse_file_info *fi)
{
  return fi ? (PfsFile *) (uintptr_t) fi->fh : NULL;
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
