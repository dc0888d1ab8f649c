/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that peers chose, made safe to print. */
#pragma once

#include <glib.h>

/* One word for a terminal or a table (g_free). Printable UTF-8 stays; each byte of anything else (control characters,
 * white space, invalid bytes, a backslash) is \xHH. The empty string is "-". */
char *pfs_escape_word (const char *bytes);

/* As pfs_escape_word(), for text of several words (g_free): blanks, backslashes and the empty string stay. */
char *pfs_escape_line (const char *text);

/* Appends a JSON string, quotes included: valid UTF-8 whatever the bytes (invalid ones become U+FFFD); characters that
 * are not printable are \uXXXX (RFC 8259, section 7). */
void pfs_escape_json (GString *out, const char *bytes);
