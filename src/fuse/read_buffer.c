/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read_buffer.h"

#include <glib.h>
#include <stdlib.h>
#include <unistd.h>

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

void *
pfs_read_buffer (size_t size)
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
