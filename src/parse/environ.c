/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/environ.h"

#include <string.h>

#include "peerfs/base/name.h"

#define VARIABLES_MAX 65536 /* each costs us more than its few bytes cost the peer */

static void
add_record (PfsEnviron *env, const char *record, size_t len)
{
  const char *equals = memchr (record, '=', len);
  g_autofree char *name = equals ? pfs_name_encode (record, (size_t) (equals - record)) : NULL;

  if (!name || g_hash_table_contains (env->values, name))
    return;
  g_hash_table_insert (env->values, name, (gpointer) (equals + 1));
  g_ptr_array_add (env->names, g_steal_pointer (&name));
}

PfsEnviron *
pfs_environ_parse (GBytes *content)
{
  PfsEnviron *env = g_new0 (PfsEnviron, 1);
  gsize left, len;
  const char *record = g_bytes_get_data (content, &left);

  env->content = g_bytes_ref (content);
  env->names = g_ptr_array_new_with_free_func (g_free);
  env->values = g_hash_table_new (g_str_hash, g_str_equal);
  for (; left > 0 && env->names->len < VARIABLES_MAX; left -= len, record += len) {
    len = strnlen (record, left);
    add_record (env, record, len);
    len = MIN (len + 1, left);
  }
  return env;
}

void
pfs_environ_free (PfsEnviron *env)
{
  if (!env)
    return;
  g_hash_table_unref (env->values);
  g_ptr_array_unref (env->names);
  g_bytes_unref (env->content);
  g_free (env);
}

const char *
pfs_environ_value (const PfsEnviron *env, const char *file_name, gsize *ret_len)
{
  const char *value = g_hash_table_lookup (env->values, file_name);
  gsize size;
  const char *content = g_bytes_get_data (env->content, &size);

  if (value)
    *ret_len = strnlen (value, (size_t) (content + size - value));
  return value;
}

bool
pfs_environ_overwritten (const PfsEnviron *env)
{
  gsize size;
  const char *content = g_bytes_get_data (env->content, &size);

  return size > 0 && !memchr (content, '=', strnlen (content, size));
}
