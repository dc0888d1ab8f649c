/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between inroot.c and contain.c. Paths here are "" for the root, else "/a/b". */
#pragma once

#include <glib.h>

#include "peerfs/base/inroot.h"

/* How many components the path has. */
static inline guint
pfs_inroot_depth (const char *path)
{
  guint depth = 0;

  for (; *path; path++)
    depth += *path == '/';
  return depth;
}

/* Follows text, a part of the content of a link in the directory dir. Gives the path reached, also on failure; then
 * *ret_failed is the component that failed, NULL if the path says enough (g_free both). Returns 0 or -errno. */
int pfs_inroot_resolve_link (int rootfd, const char *dir, const char *text, const PfsAvoid *avoid, char **ret_path,
                             char **ret_failed);
