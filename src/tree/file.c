/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is open: files, and the listings of generated directories. */
#include <string.h>
#include <unistd.h>

#include "peerfs/tree/node.h"

PfsFile *
pfs_file_new (PfsNode *node, int fd, GBytes *content, PfsListing *listing)
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
  g_clear_pointer (&file->listing, pfs_listing_free);
  pfs_node_unref (file->node);
  g_free (file);
}

struct PfsListing {
  GArray *rows;
  size_t size; /* bytes of rows and names */
  GStringChunk *names;
};

typedef struct {
  const char *name;
  mode_t type;
  uint64_t ino;
} Row;

PfsListing *
pfs_listing_new (void)
{
  PfsListing *listing = g_new0 (PfsListing, 1);

  listing->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  listing->names = g_string_chunk_new (1024);
  return listing;
}

void
pfs_listing_free (PfsListing *listing)
{
  g_array_unref (listing->rows);
  g_string_chunk_free (listing->names);
  g_free (listing);
}

void
pfs_listing_add (PfsListing *listing, const char *name, mode_t type, uint64_t ino)
{
  Row row = { g_string_chunk_insert (listing->names, name), type, ino };

  g_array_append_val (listing->rows, row);
  listing->size += sizeof row + strlen (name) + 1;
}

size_t
pfs_file_size_held (const PfsFile *file)
{
  return (file->content ? g_bytes_get_size (file->content) : 0) + (file->listing ? file->listing->size : 0);
}

guint
pfs_listing_size (const PfsListing *listing)
{
  return listing->rows->len;
}

const char *
pfs_listing_name (const PfsListing *listing, guint i, mode_t *ret_type, uint64_t *ret_ino)
{
  const Row *row = &g_array_index (listing->rows, Row, i);

  *ret_type = row->type;
  *ret_ino = row->ino;
  return row->name;
}
