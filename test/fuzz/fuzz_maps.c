/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/parse/maps.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (PfsMappedFiles) files = pfs_mapped_files_new ();
  const char *line = (const char *) data, *end = line + size;
  size_t total = 0;

  for (const char *newline; line && line < end; line = newline ? newline + 1 : NULL) {
    newline = memchr (line, '\n', (size_t) (end - line));
    pfs_mapped_files_add (files, line, (size_t) ((newline ? newline : end) - line));
  }
  g_autoptr (GPtrArray) mappings = pfs_mapped_files_steal (files);

  for (guint i = 0; i < mappings->len; i++) {
    const PfsMapping *m = mappings->pdata[i], *previous = i > 0 ? mappings->pdata[i - 1] : NULL;
    int order = previous ? strcmp (previous->path, m->path) : -1;

    MUST (m->path[0] == '/' && m->path[1] != '\0');
    MUST (m->inode != 0 && m->start < m->end);
    MUST (!m->deleted || !g_str_has_prefix (m->path, "/memfd:"));
    MUST (order < 0 || (order == 0 && previous->start <= m->start));
    MUST (order < 0 || previous->inode != m->inode || previous->major != m->major || previous->minor != m->minor);
    total += strlen (m->path);
  }
  MUST (total <= size);
  return 0;
}
