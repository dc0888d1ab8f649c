/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/base/name.h"
#include "peerfs/parse/environ.h"

/* The value is a whole record's tail, and the name is made of all that is before it. */
static void
check_variable (const char *start, gsize size, const char *name, const char *value, gsize len)
{
  g_autofree char *encoded = NULL;
  const char *record;

  MUST (value > start && value + len <= start + size);
  MUST (value[-1] == '=');
  MUST (len == 0 || !memchr (value, '\0', len));
  MUST (value + len == start + size || value[len] == '\0');

  for (record = value - 1; record > start && record[-1] != '\0'; record--)
    ;
  MUST (!memchr (record, '=', (size_t) (value - 1 - record)));
  encoded = pfs_name_encode (record, (gsize) (value - 1 - record));
  MUST (encoded && strcmp (encoded, name) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) content = g_bytes_new (data, size);
  g_autoptr (PfsEnviron) env = pfs_environ_parse (content);
  const char *start = g_bytes_get_data (content, NULL), *last = start;

  MUST (env->content == content);
  for (guint i = 0; i < env->names->len; i++) {
    const char *name = env->names->pdata[i], *value;
    gsize len = G_MAXSIZE;

    MUST (pfs_name_valid (name));
    value = pfs_environ_value (env, name, &len);
    MUST (value && value > last); /* in order, so no name is there twice */
    check_variable (start, size, name, value, len);
    last = value;
  }
  return 0;
}
