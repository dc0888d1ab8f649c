/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the containers in one listing. */
#include "table_priv.h"

#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"

#define SHORT_ID 12
#define SANDBOX_NAME "pause"

bool
pfs_name_rule_parse (const char *arg, PfsNameRule *ret)
{
  const char *equals = strchr (arg, '=');

  if (!equals || equals == arg || !pfs_name_valid (equals + 1))
    return false;
  for (const char *p = arg; p < equals; p++)
    if (!g_ascii_isalnum (*p) && !strchr ("._-", *p))
      return false;
  ret->prefix = g_strndup (arg, (gsize) (equals - arg));
  ret->name = g_strdup (equals + 1);
  ret->arg = g_strdup (arg);
  return true;
}

void
pfs_name_rule_free (PfsNameRule *rule)
{
  g_free (rule->prefix);
  g_free (rule->name);
  g_free (rule->arg);
  g_free (rule);
}

/* An id given by the kubelet's mount is <uid>/<name>/<8 hex>: what differs between instances is its end. */
static const char *
id_for_names (const PfsContainer *c)
{
  const char *slash = strrchr (c->key, '/');

  return slash ? slash + 1 : c->key;
}

static char *
short_id (const PfsContainer *c)
{
  return g_strndup (id_for_names (c), SHORT_ID);
}

static bool
is_sandbox (const PfsContainer *c, const GPtrArray *live)
{
  if (!c->main_is_sandbox || c->kubelet.name[0])
    return false;
  for (guint i = 0; i < live->len; i++)
    if (((PfsContainer *) g_ptr_array_index (live, i))->kubelet.name[0])
      return true;
  return false;
}

/* The rule for that container, or NULL. */
static const PfsNameRule *
rule_for (const PfsTable *table, const PfsContainer *c)
{
  for (guint i = 0; i < table->rules->len; i++) {
    const PfsNameRule *rule = g_ptr_array_index (table->rules, i);
    if (g_str_has_prefix (c->key, rule->prefix))
      return rule;
  }
  return NULL;
}

static const char *
ambiguous_rule (const PfsTable *table, const GPtrArray *live)
{
  for (guint i = 0; i < table->rules->len; i++) {
    const PfsNameRule *rule = g_ptr_array_index (table->rules, i);
    guint matches = 0;
    for (guint j = 0; j < live->len; j++)
      matches += g_str_has_prefix (((PfsContainer *) g_ptr_array_index (live, j))->key, rule->prefix);
    if (matches > 1)
      return rule->arg;
  }
  return NULL;
}

/* The name that it claims, before conflicts; NULL where it is not to be listed. */
static char *
claimed_name (const PfsTable *table, const PfsContainer *c, const GPtrArray *live)
{
  const PfsNameRule *rule = rule_for (table, c);

  if (is_sandbox (c, live) && !table->sandbox)
    return NULL;
  if (rule)
    return g_strdup (rule->name);
  if (is_sandbox (c, live))
    return g_strdup (SANDBOX_NAME);
  if (pfs_name_valid (c->kubelet.name))
    return g_strdup (c->kubelet.name);
  if (pfs_name_valid (c->machine))
    return g_strdup (c->machine);
  return short_id (c);
}

/* Another name for one whose name is taken: more of the id until it is free. */
static char *
free_name (GHashTable *taken, const PfsContainer *c, const char *name)
{
  const char *id = id_for_names (c);

  for (gsize digits = SHORT_ID;; digits++) {
    g_autofree char *tail =
        digits <= strlen (id) || digits == SHORT_ID
            ? g_strdup_printf ("~%.*s", (int) digits, id)
            : g_strdup_printf ("~%.*s~%" G_GUINT64_FORMAT, SHORT_ID, id, c->serial);
    gsize room = NAME_MAX > strlen (tail) ? NAME_MAX - strlen (tail) : 0;
    g_autofree char *candidate = g_strdup_printf ("%.*s%s", (int) MIN (room, strlen (name)), name, tail);
    if (!g_hash_table_contains (taken, candidate) || digits > strlen (id))
      return g_steal_pointer (&candidate);
  }
}

static int
compare_newest (gconstpointer a, gconstpointer b)
{
  const PfsContainer *x = *(PfsContainer *const *) a, *y = *(PfsContainer *const *) b;

  if (x->main_start != y->main_start)
    return x->main_start > y->main_start ? -1 : 1;
  return x->main_pid > y->main_pid ? -1 : x->main_pid < y->main_pid;
}

const char *
pfs_assign_names (PfsTable *table, GPtrArray *live)
{
  g_autoptr (GHashTable) taken = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) losers = g_ptr_array_new ();

  g_ptr_array_sort (live, compare_newest);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = g_ptr_array_index (live, i);
    g_free (c->next_name);
    c->next_name = claimed_name (table, c, live);
    if (c->next_name && !g_hash_table_add (taken, c->next_name))
      g_ptr_array_add (losers, c);
  }
  /* After all claims, so that NAME~ID never takes a name that somebody is called by. */
  for (guint i = 0; i < losers->len; i++) {
    PfsContainer *c = g_ptr_array_index (losers, i);
    g_autofree char *claimed = c->next_name;
    c->next_name = free_name (taken, c, claimed);
    g_hash_table_add (taken, c->next_name);
  }
  return ambiguous_rule (table, live);
}
