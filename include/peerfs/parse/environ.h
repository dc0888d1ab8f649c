/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/environ (proc_pid_environ(5)): NAME=VALUE, NUL after each. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define PFS_ENVIRON_MAX (4 * 1024 * 1024)

typedef struct PfsEnviron PfsEnviron;

/* Parses content, and keeps a reference of it. The first of duplicate names wins. Skips records without '=', and names
 * for which pfs_name_encode() has no file name. Never fails. The caller owns the result (pfs_environ_free). */
PfsEnviron *pfs_environ_parse (GBytes *content);
void pfs_environ_free (PfsEnviron *env);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsEnviron, pfs_environ_free)

/* The number of variables, and the file name (encoded, see base/name.h) of the i-th, in the order of the file. */
guint pfs_environ_size (const PfsEnviron *env);
const char *pfs_environ_name (const PfsEnviron *env, guint i);

/* The exact bytes of the variable with that file name, borrowed from the content; NULL if there is none. */
const char *pfs_environ_value (const PfsEnviron *env, const char *file_name, gsize *ret_len);

/* True if the content does not begin with a variable: the process has written over it, for example a title. */
bool pfs_environ_overwritten (const PfsEnviron *env);

/* The content that it was made from, borrowed (to see if it is still the same). */
GBytes *pfs_environ_content (const PfsEnviron *env);
