/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The containers as a folder of plain symbolic links, for pods that allow no mount: it needs neither FUSE nor a
 * capability. A process follows a link with its own rights in its own /proc. */
#pragma once

#include "peerfs/pod/table.h"

/* Keeps DIR/NAME/{root,proc,pids/,sockets/,id,pid} for each container of the table until SIGTERM, SIGINT or SIGHUP, and
 * then removes all of it. If dir is missing, makes it; leaves other files in it alone. Removes first what a killed run
 * left there. Calls warn with what the user should know meanwhile. Returns 0, or -1 with one line in *ret_error
 * (g_free). */
int pfs_links_run (PfsTable *table, const char *dir, void (*warn) (const char *text), char **ret_error);
