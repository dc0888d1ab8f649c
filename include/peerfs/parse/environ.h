/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/environ (proc_pid_environ(5)): NAME=VALUE, NUL after each. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define PFS_ENVIRON_MAX (4 * 1024 * 1024)

typedef struct {
  GBytes *content;    /* what it was made from */
  GPtrArray *names;   /* the variables' file names (encoded, see base/name.h), in the order of the file */
  GHashTable *values; /* file name -> where the value begins in content; see pfs_environ_value() */
} PfsEnviron;

/* Parses content, and keeps a reference of it. The first of duplicate names wins. Skips records without '=', and names
 * for which pfs_name_encode() has no file name. Never fails. The caller owns the result (pfs_environ_free). */
PfsEnviron *pfs_environ_parse (GBytes *content);
void pfs_environ_free (PfsEnviron *env);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PfsEnviron, pfs_environ_free)

/* The exact bytes of the variable with that file name, borrowed from the content; NULL if there is none. */
const char *pfs_environ_value (const PfsEnviron *env, const char *file_name, gsize *ret_len);

/* True if the content does not begin with a variable: the process has written over it, for example a title. */
bool pfs_environ_overwritten (const PfsEnviron *env);
