/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "peerfs/parse/netunix.h"

/* The first place from which on path is the end of a line; matches may overlap. */
static const uint8_t *
find_line_end (const uint8_t *from, const uint8_t *end, const char *path, size_t len)
{
  while ((from = memmem (from, (size_t) (end - from), path, len))) {
    if (from + len == end || from[len] == '\n')
      return from + len;
    from++;
  }
  return NULL;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GPtrArray) rows = pfs_netunix_parse ((const char *) data, size);
  const uint8_t *from = data;

  for (guint i = 0; i < rows->len; i++) {
    const PfsUnixRow *row = rows->pdata[i];
    size_t len = strlen (row->path);

    MUST (row->inode != 0);
    MUST (row->type == SOCK_STREAM || row->type == SOCK_DGRAM || row->type == SOCK_SEQPACKET);
    MUST (row->listening == TRUE || row->listening == FALSE);
    MUST (len > 0 && row->path[0] != '@' && !strchr (row->path, '\n'));

    from = find_line_end (from, data + size, row->path, len);
    MUST (from != NULL);
  }
  return 0;
}
