/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes in a folder that others read meanwhile: each name appears whole, and is replaced or removed at once. No
 * function follows a symbolic link. All return 0 or -errno. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PFS_FOLDER_DEPTH_MAX 64 /* of nested folders; each costs a descriptor while it is removed */

/* Opens the directory dirfd/name. If it is missing, makes it with mode 0755, or 0700 if secret. -EPERM: it is not ours,
 * or others may write to it. *ret is a descriptor owned by the caller. */
int pfs_folder_open (int dirfd, const char *name, bool secret, int *ret);

/* Makes dirfd/name a symbolic link to target, or a file with that text. Replaces what was there, but no directory. */
int pfs_folder_put_link (int dirfd, const char *name, const char *target);
int pfs_folder_put_text (int dirfd, const char *name, const char *text);

/* Makes the missing folders of path, and a link at its end. path has no ".", no ".." and no leading '/'. */
int pfs_folder_put_link_below (int dirfd, const char *path, const char *target);

/* Removes the link at the end of such a path, and the folders on the way that are empty then. */
void pfs_folder_remove_link_below (int dirfd, const char *path);

/* Removes dirfd/name with all its content. A missing one is no error. */
int pfs_folder_remove (int dirfd, const char *name);

/* Calls func for each name in the directory but "." and "..". Names that func adds may be missed. */
int pfs_folder_foreach (int dirfd, void (*func) (const char *name, gpointer data), gpointer data);
