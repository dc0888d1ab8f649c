/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands share: exit statuses, words for the user, the table of containers. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "options.h"

enum {
  PFS_EXIT_DONE = 0,
  PFS_EXIT_FAILURE = 1,
  PFS_EXIT_USAGE = 2,
  PFS_EXIT_TIMED_OUT = 124,  /* as timeout(1) */
  PFS_EXIT_CANNOT_RUN = 126, /* as sh(1) */
  PFS_EXIT_NOT_FOUND = 127,
};

/* Prints "peerfs: ", the text and a newline on stderr. The text becomes one line. */
void pfs_say (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Opens --proc, makes the table over it, scans, and checks that it shows what --node or --pod ask for (--wait waits for
 * the pod). All but --list refuse a saved copy. Returns PFS_EXIT_DONE, and the caller owns both (pfs_table_unref,
 * g_ptr_array_unref). Else tells the user, and returns the exit status. */
int pfs_app_open (const PfsOptions *options, PfsTable **ret_table, GPtrArray **ret_containers);

/* As pfs_table_list(), but tells the user what is wrong and returns an exit status. */
int pfs_app_containers (PfsTable *table, GPtrArray **ret);

/* Checks, after a scan of the table, that the process namespace shows what --node or --pod ask for, and that the pod is
 * there. Else tells the user why, and returns false. */
bool pfs_app_check_scope (PfsTable *table, const PfsOptions *options);

/* The length of the container's part of a path of the tree: NAME, or NAMESPACE/POD/NAME. */
size_t pfs_app_name_length (const PfsOptions *options, const char *target);

/* The names of the containers, "a, b, c" (g_free); a long list is cut. */
char *pfs_app_names (GPtrArray *containers);

/* Tells the user why a lookup in the table failed with error (-errno), or which containers there are instead. Returns
 * the exit status. */
int pfs_app_not_found (GPtrArray *containers, const char *name, int error);

/* Warns the user of each --name that fits no container. */
void pfs_app_check_names (const PfsOptions *options, GPtrArray *containers);

/* Flushes stdout. Returns PFS_EXIT_DONE if all has arrived, else another exit status after telling the user. */
int pfs_app_written (const char *what);

/* If the containers show that the process namespace is not shared, returns what to do about it, else NULL. */
const char *pfs_app_namespace_hint (PfsTable *table, GPtrArray *containers);

/* True if this process is one of the container's. */
bool pfs_app_is_own (PfsContainer *c);

/* The commands; each returns the exit status. */
int pfs_app_mount (const PfsOptions *options);
int pfs_app_list (const PfsOptions *options);
int pfs_app_wait (const PfsOptions *options);
int pfs_app_as (const PfsOptions *options);
int pfs_app_links (const PfsOptions *options);
