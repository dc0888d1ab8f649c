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
  int status = pfs_app_table (options, true, &table);

  if (status == PFS_EXIT_DONE && options->pod)
    status = pfs_app_containers (table, &containers);
  if (status == PFS_EXIT_DONE)
    status = pfs_app_check_pod (table, options);
  if (status != PFS_EXIT_DONE)
    return status;
  if (pfs_links_run (table, options->target, warn, &error) == 0)
    return PFS_EXIT_DONE;
  pfs_say ("%s", error);
  return PFS_EXIT_FAILURE;
}
