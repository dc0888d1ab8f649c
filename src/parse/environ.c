/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/environ.h"

#include "peerfs/base/name.h"

#include "bytes.h"

#define VARIABLES_MAX 65536 /* each costs us more than its few bytes cost the peer */

typedef struct {
  char *name;
  Bytes value; /* in the content */
} Variable;

struct PfsEnviron {
  GBytes *content;
  GArray *variables;
  GHashTable *by_name; /* name (the variable's) -> index */
};

static void
variable_clear (gpointer data)
{
  Variable *variable = data;

  g_free (variable->name);
}

static void
add_record (PfsEnviron *env, Bytes record)
{
  const char *equals = record.len > 0 ? memchr (record.p, '=', record.len) : NULL;
  g_autofree char *name = NULL;
  Variable variable;
  size_t len;

  if (!equals)
    return;
  len = (size_t) (equals - record.p);
  name = pfs_name_encode (record.p, len);
  if (!name || g_hash_table_contains (env->by_name, name))
    return;

  variable.name = g_steal_pointer (&name);
  variable.value = bytes_skip (record, len + 1);
  g_hash_table_insert (env->by_name, variable.name, GUINT_TO_POINTER (env->variables->len));
  g_array_append_val (env->variables, variable);
}

PfsEnviron *
pfs_environ_parse (GBytes *content)
{
  PfsEnviron *env = g_new0 (PfsEnviron, 1);
  Bytes all, record;
  gsize len;

  env->content = g_bytes_ref (content);
  env->variables = g_array_new (FALSE, FALSE, sizeof (Variable));
  g_array_set_clear_func (env->variables, variable_clear);
  env->by_name = g_hash_table_new (g_str_hash, g_str_equal);

  all.p = g_bytes_get_data (content, &len);
  all.len = len;
  while (env->variables->len < VARIABLES_MAX && bytes_split (&all, '\0', &record))
    add_record (env, record);
  return env;
}

void
pfs_environ_free (PfsEnviron *env)
{
  if (!env)
    return;
  g_hash_table_unref (env->by_name);
  g_array_unref (env->variables);
  g_bytes_unref (env->content);
  g_free (env);
}

guint
pfs_environ_size (const PfsEnviron *env)
{
  return env->variables->len;
}

const char *
pfs_environ_name (const PfsEnviron *env, guint i)
{
  return g_array_index (env->variables, Variable, i).name;
}

const char *
pfs_environ_value (const PfsEnviron *env, const char *file_name, gsize *ret_len)
{
  gpointer index;
  const Variable *variable;

  if (!g_hash_table_lookup_extended (env->by_name, file_name, NULL, &index))
    return NULL;
  variable = &g_array_index (env->variables, Variable, GPOINTER_TO_UINT (index));
  *ret_len = variable->value.len;
  return variable->value.p;
}

bool
pfs_environ_overwritten (const PfsEnviron *env)
{
  gsize len;
  const char *start = g_bytes_get_data (env->content, &len);
  Bytes all = bytes_of (start, len), first;

  return bytes_split (&all, '\0', &first) && !bytes_contain (first, "=");
}

GBytes *
pfs_environ_content (const PfsEnviron *env)
{
  return env->content;
}
