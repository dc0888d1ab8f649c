/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes in a folder that others read meanwhile. No function follows a symbolic link. All return 0 or -errno. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#define PFS_FOLDER_DEPTH_MAX 64 /* of nested folders; each costs a descriptor */

/* Opens the directory dirfd/name. If it is missing, makes it with that mode. -EPERM: it is not ours, or the mode gives
 * others less. *ret is a descriptor owned by the caller. */
int pfs_folder_open (int dirfd, const char *name, mode_t mode, int *ret);

/* Makes a symbolic link to target at path, and the missing folders on the way. Replaces a link that is there at once.
 * NULL: removes it, and the folders on the way that are empty then. path has no ".", no ".." and no leading '/'. */
int pfs_folder_set_link (int dirfd, const char *path, const char *target);

/* Makes the file dirfd/name, which nobody has looked for yet, with that text. */
int pfs_folder_make_text (int dirfd, const char *name, const char *text);

/* Removes dirfd/name with all its content. A missing one is no error. */
int pfs_folder_remove (int dirfd, const char *name);

/* The names in the directory but "." and ".." (g_ptr_array_unref). NULL, and errno: it cannot be read. */
GPtrArray *pfs_folder_names (int dirfd);
