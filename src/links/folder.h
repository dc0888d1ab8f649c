/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes in a folder that others read meanwhile: each name appears whole, or is replaced or gone at once. Nothing here
 * follows a symbolic link. All return 0 or -errno. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PFS_FOLDER_DEPTH_MAX 64 /* of folders in one another; each costs a descriptor while it is removed */

/* Opens dirfd/name, which must be a directory of ours that nobody else may write to; made with mode 0755 or, if it is
 * secret, 0700 where it is missing. -EPERM: it is somebody else's, or others may write to it. *ret: the descriptor. */
int pfs_folder_open (int dirfd, const char *name, bool secret, int *ret);

/* Makes dirfd/name a symbolic link to target, or a file with that text, in place of what it was (no directory). */
int pfs_folder_put_link (int dirfd, const char *name, const char *target);
int pfs_folder_put_text (int dirfd, const char *name, const char *text);

/* Makes the folders of path that are missing, and a link at its end. path has no ".", ".." and no leading '/'. */
int pfs_folder_put_link_below (int dirfd, const char *path, const char *target);

/* Removes dirfd/name, with all that is in it. It is no error if it is not there. */
int pfs_folder_remove (int dirfd, const char *name);

/* Calls func for each name in the directory but "." and "..". Names that func adds may be missed. */
int pfs_folder_foreach (int dirfd, void (*func) (const char *name, gpointer data), gpointer data);
