/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open: files, and the listings of generated directories. */
#include <string.h>
#include <unistd.h>

#include "peerfs/tree/node.h"

PfsFile *
pfs_file_new (PfsNode *node, int fd, GBytes *content, GArray *listing)
{
  PfsFile *file = g_new0 (PfsFile, 1);

  file->refs = 1;
  file->node = pfs_node_ref (node);
  file->fd = fd;
  file->content = content;
  file->listing = listing;
  return file;
}

PfsFile *
pfs_file_ref (PfsFile *file)
{
  g_atomic_int_inc (&file->refs);
  return file;
}

bool
pfs_file_ref_unless_dying (PfsFile *file)
{
  for (gint refs = g_atomic_int_get (&file->refs); refs > 0; refs = g_atomic_int_get (&file->refs))
    if (g_atomic_int_compare_and_exchange (&file->refs, refs, refs + 1))
      return true;
  return false;
}

void
pfs_file_unref (PfsFile *file)
{
  if (!g_atomic_int_dec_and_test (&file->refs))
    return;
  if (file->node->ops->close)
    file->node->ops->close (file);
  if (file->priv)
    file->priv_free (file->priv);
  if (file->fd >= 0)
    close (file->fd);
  g_clear_pointer (&file->content, g_bytes_unref);
  g_clear_pointer (&file->listing, g_array_unref);
  pfs_node_unref (file->node);
  g_free (file);
}

static void
listed_clear (gpointer listed)
{
  g_free (((PfsListed *) listed)->name);
}

GArray *
pfs_listing_new (void)
{
  GArray *listing = g_array_new (FALSE, FALSE, sizeof (PfsListed));

  g_array_set_clear_func (listing, listed_clear);
  return listing;
}

void
pfs_listing_add (GArray *listing, const char *name, mode_t type, uint64_t ino)
{
  PfsListed listed = { g_strdup (name), type, ino };

  g_array_append_val (listing, listed);
}

size_t
pfs_file_size_held (const PfsFile *file)
{
  size_t size = file->content ? g_bytes_get_size (file->content) : 0;

  for (guint i = 0; file->listing && i < file->listing->len; i++)
    size += sizeof (PfsListed) + strlen (g_array_index (file->listing, PfsListed, i).name) + 1;
  return size;
}
