/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "escape.h"

#include <stdbool.h>

#define NO_CHAR ((gunichar) - 1)

/* The character at p, or NO_CHAR; *ret_len is the number of bytes to skip. */
static gunichar
next_char (const char *p, size_t *ret_len)
{
  gunichar c = g_utf8_get_char_validated (p, -1);
  bool valid = c != (gunichar) -1 && c != (gunichar) -2;
  *ret_len = valid ? (size_t) (g_utf8_next_char (p) - p) : 1;
  return valid ? c : NO_CHAR;
}

/* Formatting characters (bidirectional overrides, zero width joiners) would show a name as another one: GLib does not
 * count them as printable. */
static bool
is_plain (gunichar c)
{
  return c != NO_CHAR && g_unichar_isprint (c) && (c == ' ' || !g_unichar_isspace (c));
}

static char *
escape (const char *bytes, const char *also)
{
  g_autoptr (GString) out = g_string_new (NULL);
  size_t len;
  for (const char *p = bytes; *p; p += len) {
    gunichar c = next_char (p, &len);
    if (is_plain (c) && !(len == 1 && (*p == also[0] || *p == also[1]))) {
      g_string_append_len (out, p, (gssize) len);
      continue;
    }
    for (size_t i = 0; i < len; i++)
      g_string_append_printf (out, "\\x%02x", (guint) (guchar) p[i]);
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

char *
pfs_escape_word (const char *bytes)
{
  return *bytes ? escape (bytes, " \\") : g_strdup ("-");
}

char *
pfs_escape_line (const char *text)
{
  return escape (text, "\0");
}

static void
append_code_units (GString *out, gunichar c)
{
  if (c < 0x10000) {
    g_string_append_printf (out, "\\u%04x", c);
    return;
  }
  c -= 0x10000;
  g_string_append_printf (out, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

void
pfs_escape_json (GString *out, const char *bytes)
{
  size_t len;
  g_string_append_c (out, '"');
  for (const char *p = bytes; *p; p += len) {
    gunichar c = next_char (p, &len);
    if (c == NO_CHAR)
      g_string_append (out, "\xef\xbf\xbd");
    else if (c == '"' || c == '\\')
      g_string_append_printf (out, "\\%c", (char) c);
    else if (is_plain (c))
      g_string_append_len (out, p, (gssize) len);
    else
      append_code_units (out, c);
  }
  g_string_append_c (out, '"');
}
