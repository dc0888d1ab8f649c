/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "peerfs/parse/netunix.h"

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

    /* in order, each at the end of its line */
    do {
      from = memmem (from, (size_t) (data + size - from), row->path, len);
      MUST (from != NULL);
      from += len;
    } while (from < data + size && *from != '\n');
  }
  return 0;
}
