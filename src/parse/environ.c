/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/environ.h"

#include "peerfs/base/name.h"

#include "bytes.h"

#define VARIABLES_MAX 65536 /* each costs us more than its few bytes cost the peer */

static void
add_record (PfsEnviron *env, Bytes record)
{
  const char *equals = record.len > 0 ? memchr (record.p, '=', record.len) : NULL;
  g_autofree char *name = equals ? pfs_name_encode (record.p, (size_t) (equals - record.p)) : NULL;

  if (!name || g_hash_table_contains (env->values, name))
    return;
  g_hash_table_insert (env->values, name, (gpointer) (equals + 1));
  g_ptr_array_add (env->names, g_steal_pointer (&name));
}

PfsEnviron *
pfs_environ_parse (GBytes *content)
{
  PfsEnviron *env = g_new0 (PfsEnviron, 1);
  Bytes record;

  env->content = g_bytes_ref (content);
  env->names = g_ptr_array_new_with_free_func (g_free);
  env->values = g_hash_table_new (g_str_hash, g_str_equal);
  for (Bytes all = bytes_of_content (env->content);
       env->names->len < VARIABLES_MAX && bytes_split (&all, '\0', &record);)
    add_record (env, record);
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
  Bytes all = bytes_of_content (env->content);

  if (value)
    *ret_len = strnlen (value, (size_t) (all.p + all.len - value));
  return value;
}

bool
pfs_environ_overwritten (const PfsEnviron *env)
{
  Bytes all = bytes_of_content (env->content), first;

  return bytes_split (&all, '\0', &first) && !bytes_contain (first, "=");
}
