/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "app.h"
#include "peerfs/links/links.h"

static void
warn (const char *text)
{
  pfs_say ("warning: %s", text);
}

int
pfs_app_links (const PfsOptions *options)
{
  g_autoptr (PfsTable) table = NULL;
  g_autoptr (GPtrArray) containers = NULL;
  g_autofree char *error = NULL;
  int status = pfs_app_open (options, &table, &containers);

  if (status != PFS_EXIT_DONE)
    return status;
  g_clear_pointer (&containers, g_ptr_array_unref);
  if (pfs_links_run (table, options->target, warn, &error) == 0)
    return PFS_EXIT_DONE;
  pfs_say ("%s", error);
  return PFS_EXIT_FAILURE;
}
