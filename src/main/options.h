/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line, parsed and checked. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "peerfs/fuse/session.h"

typedef enum {
  PFS_ACTION_MOUNT,
  PFS_ACTION_LIST,
  PFS_ACTION_WAIT,
  PFS_ACTION_AS,
  PFS_ACTION_LINKS,
  PFS_ACTION_VERSION, /* the rest counts more than the others, */
  PFS_ACTION_HELP,    /* and this most */
  PFS_ACTION_NOTHING, /* mount(8) asked for a dry run ("fake") */
} PfsAction;

typedef struct {
  PfsAction action;
  char *proc;            /* --proc */
  PfsTableOptions table; /* --name, --sandbox, --node, --pod; owned */
  gboolean json;
  char *target;          /* of --wait, --as or --links */
  double timeout;        /* seconds; negative: none */
  gboolean unguarded;    /* of --as: also if peers could trace the command */
  char **command;        /* of --as: NULL terminated, never empty */
  PfsMountOptions mount; /* its strings are owned */
  guint kernel;          /* a bit for each of mount.kernel_options */
} PfsOptions;

/* Parses the command line; if called as "mount.peerfs" or "mount.fuse.peerfs", that of a mount helper (mount(8),
 * "EXTERNAL HELPERS"). Returns NULL and *error, with one line for the user, if it is wrong. Free with
 * pfs_options_free(). argv is not changed. */
PfsOptions *pfs_options_parse (int argc, char *const *argv, GError **error);
void pfs_options_free (PfsOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsOptions, pfs_options_free)

/* --- mountopts.c: the value of -o. peerfs's own options, those of the kernel, and those that mount(8) leaves for
 * others. --- */

/* Applies a comma separated list to *options, in order: the last word counts. "\," is a comma within a value (as in
 * libfuse). Unknown ones are an error; sloppy (mount -s) ignores them. Returns false with *error set at the first wrong
 * one. */
bool pfs_mountopts_apply (PfsOptions *options, const char *list, bool sloppy, GError **error);

/* Sets --pod POD; NULL: --node. Returns false with *error set if that is no pod, or another scope was given before. */
bool pfs_mountopts_set_scope (PfsOptions *options, const char *pod, GError **error);

/* Parses a finite number of seconds, not negative. */
bool pfs_mountopts_seconds (const char *value, double *ret);

/* Sets *error to that text, and returns false. */
bool pfs_usage_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* The text of --help. */
extern const char pfs_options_help[];
