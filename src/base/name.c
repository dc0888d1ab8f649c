/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/base/name.h"

#include <limits.h>
#include <string.h>

static bool
is_dots (const char *bytes, size_t len)
{
  return (len == 1 && bytes[0] == '.') || (len == 2 && bytes[0] == '.' && bytes[1] == '.');
}

bool
pfs_name_valid (const char *name)
{
  size_t len = strnlen (name, NAME_MAX + 1);

  return len > 0 && len <= NAME_MAX && !memchr (name, '/', len) && !is_dots (name, len);
}

char *
pfs_name_encode (const char *bytes, gsize len)
{
  bool dots;
  GString *out;

  /* Encoding never shortens. */
  if (len > NAME_MAX)
    return NULL;
  if (len == 0)
    return g_strdup ("%");

  dots = is_dots (bytes, len);
  if (!dots && !memchr (bytes, '/', len) && !memchr (bytes, '\0', len))
    return g_strndup (bytes, len);

  out = g_string_sized_new (len + 16);
  for (gsize i = 0; i < len; i++) {
    char c = bytes[i];

    if (c == '/' || c == '\0' || c == '%' || dots)
      g_string_append_printf (out, "%%%02X", (unsigned int) (unsigned char) c);
    else
      g_string_append_c (out, c);
  }

  if (out->len > NAME_MAX) {
    g_string_free (out, TRUE);
    return NULL;
  }
  return g_string_free (out, FALSE);
}
