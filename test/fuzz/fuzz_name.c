/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <limits.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/base/name.h"

static gsize
decode (const char *name, char *buf)
{
  gsize n = 0;

  if (strcmp (name, "%") == 0)
    return 0;
  for (; *name; name++) {
    if (*name == '%') {
      MUST (g_ascii_isxdigit (name[1]) && g_ascii_isxdigit (name[2]));
      buf[n++] = (char) (g_ascii_xdigit_value (name[1]) * 16 + g_ascii_xdigit_value (name[2]));
      name += 2;
    } else {
      buf[n++] = *name;
    }
  }
  return n;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autofree char *name = pfs_name_encode ((const char *) data, size);
  bool plain = size > 0 && strlen (text) == size && !strchr (text, '/') && strcmp (text, ".") && strcmp (text, "..");
  char buf[NAME_MAX + 1];

  MUST (pfs_name_valid (text)
        == (*text && strlen (text) <= NAME_MAX && !strchr (text, '/') && strcmp (text, ".") && strcmp (text, "..")));
  if (!name) {
    MUST (size > (plain ? NAME_MAX : NAME_MAX / 3));
    return 0;
  }
  MUST (pfs_name_valid (name));
  if (plain) {
    MUST (strcmp (name, text) == 0);
    return 0;
  }
  MUST (decode (name, buf) == size && (size == 0 || memcmp (buf, data, size) == 0));
  return 0;
}
