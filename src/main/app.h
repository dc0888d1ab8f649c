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

/* Prints "peerfs: ", the text and a newline on stderr: one line whatever is in it. */
void pfs_say (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Opens --proc and makes the table over it. need_live: a saved copy will not do. On failure the user was told, and the
 * exit status is returned; else PFS_EXIT_DONE, and *ret is the caller's (pfs_table_unref). */
int pfs_app_table (const PfsOptions *options, bool need_live, PfsTable **ret);

/* A PfsNoticeFunc: one line on stderr. */
void pfs_app_tell (const PfsNotice *notice, gpointer data);

/* As pfs_table_list(), but tells the user what is wrong and returns an exit status. */
int pfs_app_containers (PfsTable *table, GPtrArray **ret);

/* Once the table has scanned: the process namespace shows what the options ask for (--node, --pod), or the user was
 * told why not. The second also sees that the pod is there. Returns an exit status. */
int pfs_app_check_node (PfsTable *table, const PfsOptions *options);
int pfs_app_check_pod (PfsTable *table, const PfsOptions *options);

/* How much of a path of the tree is the container: NAME, or NAMESPACE/POD/NAME. */
size_t pfs_app_name_length (const PfsOptions *options, const char *target);

/* The names of the containers, "a, b, c" (g_free); many are cut. */
char *pfs_app_names (GPtrArray *containers);

/* Tells the user why a look into the table failed with error (negative), which names the containers that there are
 * where none has the name. Returns the exit status. */
int pfs_app_not_found (PfsTable *table, const PfsOptions *options, const char *name, int error);

/* Warns of each --name that fits none of the containers. */
void pfs_app_check_names (const PfsOptions *options, GPtrArray *containers);

/* What was printed has arrived: PFS_EXIT_DONE, or another exit status after telling the user. */
int pfs_app_written (const char *what);

/* Where the containers show that the process namespace is not shared, what to do about it, else NULL. */
const char *pfs_app_namespace_hint (PfsTable *table, GPtrArray *containers);

/* True where one of the container's processes is this one. */
bool pfs_app_is_own (PfsContainer *c);

/* The commands; each returns the exit status. */
int pfs_app_mount (const PfsOptions *options);
int pfs_app_list (const PfsOptions *options);
int pfs_app_wait (const PfsOptions *options);
int pfs_app_as (const PfsOptions *options);
int pfs_app_links (const PfsOptions *options);
