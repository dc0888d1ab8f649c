/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths below a root descriptor, resolved as a process chrooted there would see them, but without trust in what lies
 * below: openat2(2). Paths here are '/'-separated, with or without a leading '/', "" or "/" is the root itself. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* What st_dev (as makedev() gives it) no walk may enter: our own mount, where a walk would ask ourselves. 0: none. */
typedef dev_t PfsAvoid;

/* Opens path below rootfd with RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS: no component, the last one
 * included, may be a link (with O_PATH|O_NOFOLLOW the last one may). O_CLOEXEC is added. Paths longer than PATH_MAX
 * are walked in pieces. Returns a descriptor owned by the caller, or -errno (-ELOOP for a link in the way; -ENOENT, and
 * not the EXDEV of openat2(2), for what is moved out of rootfd meanwhile). */
int pfs_inroot_open (int rootfd, const char *path, int flags);

/* Follows every link of path (relative links from where they are, absolute ones and ".." clamped at rootfd, at most 40
 * links, path_resolution(7)) and gives the physical path: absolute, no links, no "." or "..", "/" for the root.
 * *ret_physical is owned by the caller (g_free), untouched on failure; every component must exist.
 * Returns 0 or -errno: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG. */
int pfs_inroot_physical (int rootfd, const char *path, char **ret_physical);

/* As above; the physical paths in the set closed (NULL: none) do not exist, and are not looked at. */
int pfs_inroot_physical_avoiding (int rootfd, const char *path, GHashTable *closed, char **ret_physical);

/* The link at physical directory dir (below rootfd) has the content target. Gives a relative target that the *caller's*
 * kernel, walking from that directory in a tree mounted anywhere, resolves as the peer's kernel would: absolute targets
 * start at the root, ".." never climbs above it, also after a component that is itself a link.
 * *ret_target (g_free) is untouched on failure. Returns 0; -ENAMETOOLONG where the result reaches PATH_MAX; -ELOOP
 * where there are too many links before its last ".." (the link leads nowhere); or another -errno of looking. */
int pfs_inroot_contain (int rootfd, const char *dir, const char *target, PfsAvoid avoid, char **ret_target);

/* True where pfs_inroot_contain() has to look at the peer's tree (rootfd): a ".." that follows another component, or a
 * target that is too long to be put behind a way up. Else the two strings alone decide, and rootfd may be -1. */
bool pfs_inroot_contain_walks (const char *dir, const char *target);
