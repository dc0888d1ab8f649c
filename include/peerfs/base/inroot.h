/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths below a root descriptor, resolved as a process chrooted there sees them (openat2(2)). What lies below is
 * hostile. Paths here are '/'-separated, with or without a leading '/', "" or "/" is the root itself. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* What is not looked at when a link is resolved. */
typedef struct {
  dev_t device; /* the st_dev (as makedev() gives it) of our own mount, where we would ask ourselves: an empty folder */
  /* Called once, with data, if the kernel has to ask somebody for a name. Gives all mount points (physical paths), with
   * the value TRUE for those of autofs. What that has to mount first waits for a daemon: so all names below such a
   * mount point are taken for directories. NULL: wait for it. */
  GHashTable *(*mount_points) (gpointer data);
  gpointer data;
} PfsAvoid;

/* Opens path, of any length, below rootfd: no component may be a link (-ELOOP), but with O_PATH|O_NOFOLLOW the last one
 * may. Adds O_CLOEXEC. Returns a descriptor or -errno: -ENOENT also for a file moved out of rootfd meanwhile. */
int pfs_inroot_open (int rootfd, const char *path, int flags);

/* Follows every link of path, at most 40 (path_resolution(7)); absolute links and ".." stay below rootfd. Gives the
 * physical path (g_free): absolute, no links, no "." or "..", "/" for the root. The physical paths in the set closed
 * (NULL: none) count as missing, and are not looked at. Returns 0 or -errno. */
int pfs_inroot_physical (int rootfd, const char *path, GHashTable *closed, char **ret_physical);

/* Rewrites target, the content of a link in the physical directory dir ("/", or "/a/b") below rootfd. The result is
 * relative. From dir, in a tree mounted anywhere, the *caller's* kernel resolves it as the peer's kernel resolves the
 * link. Absolute targets start at rootfd, and ".." never climbs above it, not even behind a link. *ret_target is owned
 * by the caller (g_free), untouched on failure. If a ".." follows another component, or the target is too long for a
 * way up before it, this has to look at the peer's tree: -EAGAIN if rootfd is -1. Else the two strings alone decide.
 * avoid: NULL for nothing.
 * Returns 0 or -errno: ENAMETOOLONG if the result reaches PATH_MAX; ELOOP for too many links before its last ".." (the
 * link leads nowhere); else that of the walk. */
int pfs_inroot_contain (int rootfd, const char *dir, const char *target, const PfsAvoid *avoid, char **ret_target);
