/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount: a libfuse session over a tree, from the check of the mountpoint to the clean unmount. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "peerfs/tree/node.h"

/* What goes to stderr: everything, or no less than that. */
typedef enum {
  PFS_LOG_INFO,
  PFS_LOG_WARNING,
  PFS_LOG_ERROR,
} PfsLogLevel;

typedef struct {
  char *mountpoint;
  gboolean foreground;   /* -f; else the daemon detaches once the mount answers */
  gboolean debug;        /* -d: every request on stderr; implies foreground */
  PfsLogLevel log_level; /* --log-level (default info); debug goes beyond it */
  bool allow_other;
  bool nonempty;        /* mount over a directory that has something in it */
  bool passthrough;     /* try kernel passthrough (default true) */
  bool sandbox;         /* drop privileges after the mount (default true) */
  char *fsname;         /* source shown in /proc/mounts; NULL: "peerfs" */
  char *kernel_options; /* further options for the mount, comma separated (ro, noatime, ...), or NULL */
  PfsTreeOptions tree;
} PfsMountOptions;

/* Mounts the tree over table at the mountpoint and serves it until it is unmounted or SIGTERM, SIGINT or SIGHUP comes,
 * which unmount it. A stale mount of a killed daemon there is cleared first. Returns an exit status: 0, or 1 with one
 * line for the user, without newline, in *ret_error (g_free). Without foreground the caller's process exits in here. */
int pfs_session_run (PfsTable *table, const PfsMountOptions *options, char **ret_error);

/* One line for --version: libfuse's version, whether this build and kernel have passthrough. g_free. */
char *pfs_session_describe (void);
