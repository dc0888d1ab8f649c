/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The containers as a folder of plain symbolic links, for pods that allow no mount: it needs neither FUSE nor a
 * capability. Who follows a link does so with its own rights in its own /proc. */
#pragma once

#include "peerfs/pod/table.h"

/* Keeps DIR/NAME/{root,proc,pids/,sockets/,id,pid} for each container of the table until SIGTERM, SIGINT or SIGHUP, and
 * takes all of it away then. dir is made if it is missing; what else lies in it stays untouched. What an earlier run
 * left there after a kill is taken away first. warn is called for what the user should know while it goes on. Returns
 * 0, or -1 with one line in *ret_error (g_free). */
int pfs_links_run (PfsTable *table, const char *dir, void (*warn) (const char *text), char **ret_error);
