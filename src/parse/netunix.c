/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/netunix.h"

#include <sys/socket.h>

#include "bytes.h"

#define FLAG_LISTENING 0x10000  /* __SO_ACCEPTCON of linux/net.h */

enum { FIELD_NUM, FIELD_REFS, FIELD_PROTOCOL, FIELD_FLAGS, FIELD_TYPE, FIELD_STATE, FIELD_INODE, N_FIELDS };

static void
row_free (gpointer data)
{
  PfsUnixRow *row = data;

  g_free (row->path);
  g_free (row);
}

/* "%pK: %08X %08X %08X %04X %02X %5lu" and " path" where there is one (net/unix/af_unix.c, unix_seq_show). Only one
 * space is before the path, which may begin with more; the inode is padded with them. */
static bool
parse_row (Bytes line, PfsUnixRow *row, Bytes *ret_path)
{
  uint64_t flags = 0, type = 0, inode = 0, ignored;
  Bytes field;

  for (int i = 0; i < N_FIELDS; i++) {
    bool good = true;

    while (i == FIELD_INODE && line.len > 0 && line.p[0] == ' ')
      line = bytes_skip (line, 1);
    if (!bytes_split (&line, ' ', &field))
      return false;
    switch (i) {
    case FIELD_NUM:
      good = bytes_has_suffix (field, ":");
      break;
    case FIELD_FLAGS:
      good = bytes_to_number (field, 16, UINT32_MAX, &flags);
      break;
    case FIELD_TYPE:
      good = bytes_to_number (field, 16, UINT16_MAX, &type);
      break;
    case FIELD_INODE:
      good = bytes_to_number (field, 10, UINT64_MAX, &inode);
      break;
    default:
      good = bytes_to_number (field, 16, UINT32_MAX, &ignored);
      break;
    }
    if (!good)
      return false;
  }
  if (inode == 0 || (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET))
    return false;

  row->inode = inode;
  row->type = (uint16_t) type;
  row->listening = (flags & FLAG_LISTENING) != 0;
  *ret_path = line;
  return true;
}

GPtrArray *
pfs_netunix_parse (const char *content, size_t len)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func (row_free);
  Bytes all = bytes_of (content, len), line, path;

  while (bytes_split (&all, '\n', &line)) {
    PfsUnixRow row = { 0 };

    if (!parse_row (line, &row, &path) || path.len == 0 || path.p[0] == '@' || memchr (path.p, '\0', path.len))
      continue;
    row.path = g_strndup (path.p, path.len);
    g_ptr_array_add (rows, g_memdup2 (&row, sizeof row));
  }
  return rows;
}
