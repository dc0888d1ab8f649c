/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File names of one component. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* True for 1 to NAME_MAX bytes without '/', and neither "." nor "..". */
bool pfs_name_valid (const char *name);

/* Makes a file name of len arbitrary bytes (an environment variable, a socket). A valid name stays as it is. Others are
 * percent-encoded: '/' is %2F, NUL is %00, "." is %2E, ".." is %2E%2E, the empty string is "%" alone. '%' itself is
 * encoded (%25) only in names that need encoding for another reason. Returns a new string (g_free), or NULL if the
 * result would be longer than NAME_MAX. */
char *pfs_name_encode (const char *bytes, gsize len);
