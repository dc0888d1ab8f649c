/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the containers in one listing. */
#include "state.h"

#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"

#define SHORT_ID 12
#define SANDBOX_NAME "pause"
#define NOTICES_MAX 64 /* told in one scan: peers may make conflicts as they like */

bool
pfs_table_check_name (const char *arg)
{
  const char *equals = strchr (arg, '=');

  if (!equals || equals == arg || !pfs_name_valid (equals + 1))
    return false;
  for (const char *p = arg; p < equals; p++)
    if (!g_ascii_isalnum (*p) && !strchr ("._-", *p))
      return false;
  return true;
}

/* An id given by the kubelet's mount is <uid>/<name>/<8 hex>: what differs between instances is its end. */
static const char *
id_for_names (const PfsContainer *c)
{
  const char *slash = strrchr (c->cgroup.id, '/');

  return slash ? slash + 1 : c->cgroup.id;
}

/* It is alone in its container: an application that catatonit started is another process. */
static bool
is_sandbox (const PfsContainer *c, const GPtrArray *live)
{
  if (!c->main_is_sandbox || c->members->len > 1 || c->kubelet.name[0])
    return false;
  for (guint i = 0; i < live->len; i++)
    if (((PfsContainer *) g_ptr_array_index (live, i))->kubelet.name[0])
      return true;
  return false;
}

/* Once for each *told, which stays false while there is nobody to tell. */
static void
tell (PfsTable *table, bool *told, const PfsNotice *notice)
{
  g_mutex_lock (&table->lock);
  PfsNoticeFunc func = table->notice_func;
  gpointer data = table->notice_data;
  g_mutex_unlock (&table->lock);
  if (func && !*told && table->n_notices++ < NOTICES_MAX)
    func (notice, data);
  *told = *told || func;
}

/* The one container that the rule can mean, or NULL. A process that may make cgroups can choose any id, but not one
 * that is as far out. */
static PfsContainer *
match_of (PfsTable *table, guint rule, const GPtrArray *live)
{
  const char *arg = table->options.names->pdata[rule];
  PfsContainer *match = NULL, *other = NULL;
  size_t prefix = strcspn (arg, "=");

  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = g_ptr_array_index (live, i);
    if (strncmp (c->cgroup.id, arg, prefix) != 0 || (match && c->cgroup.depth > match->cgroup.depth))
      continue;
    other = match && match->cgroup.depth == c->cgroup.depth ? match : NULL;
    match = c;
  }
  if (other)
    tell (table, &table->names_told[rule],
          &(PfsNotice) { PFS_NOTICE_AMBIGUOUS, arg, match->cgroup.id, other->cgroup.id });
  return other ? NULL : match;
}

static char *
claim (PfsContainer *c, PfsClaim strength, const char *name)
{
  c->claim = strength;
  return g_strdup (name);
}

/* Does something vouch for the kubelet's mount? For another pod than our own that is the cgroup, and if there is a
 * mount of our own, its file system: that is the kubelet's. */
static bool
is_vouched (const PfsTable *table, const PfsContainer *c)
{
  const PfsKubeletMount *own = &table->self.kubelet;

  if (pfs_kubelet_same_pod (&c->kubelet, own))
    return true;
  return table->options.scope != PFS_SCOPE_OWN && g_str_equal (c->kubelet.pod_uid, c->cgroup.outer_pod)
         && (!own->name[0] || pfs_kubelet_same_node (&c->kubelet, own));
}

/* The name that it claims, before conflicts; NULL if it is not to be listed. */
static char *
claimed_name (const PfsTable *table, PfsContainer *c, const GPtrArray *live)
{
  bool sandbox = is_sandbox (c, live);

  if (!pfs_pods_is_shown (table, c) || (sandbox && !table->options.sandbox))
    return NULL;
  if (c->given)
    return claim (c, PFS_CLAIM_RULE, c->given);
  if (sandbox)
    return claim (c, PFS_CLAIM_MOUNT, SANDBOX_NAME);
  if (pfs_name_valid (c->kubelet.name))
    return claim (c, is_vouched (table, c) ? PFS_CLAIM_POD : PFS_CLAIM_MOUNT, c->kubelet.name);
  if (pfs_name_valid (c->cgroup.machine))
    return claim (c, PFS_CLAIM_CGROUP, c->cgroup.machine);
  c->claim = PFS_CLAIM_CGROUP;
  return g_strndup (id_for_names (c), SHORT_ID);
}

/* Another name for one whose name is taken: more of the id until it is free. */
static char *
free_name (GHashTable *taken, const PfsContainer *c, const char *name)
{
  const char *id = id_for_names (c);
  const char *slash = strrchr (name, '/');
  int len = slash ? NAME_MAX + (int) (slash + 1 - name) : NAME_MAX;

  for (int digits = SHORT_ID;; digits++) {
    bool by_id = digits <= (int) strlen (id) || digits == SHORT_ID;
    g_autofree char *tail = by_id ? g_strdup_printf ("~%.*s", digits, id)
                                  : g_strdup_printf ("~%.*s~%" G_GUINT64_FORMAT, SHORT_ID, id, c->serial);
    g_autofree char *candidate = g_strdup_printf ("%.*s%s", len - (int) strlen (tail), name, tail);
    if (!by_id || !g_hash_table_contains (taken, candidate))
      return g_steal_pointer (&candidate);
  }
}

/* Of several that claim a name, the first has it: by the user's word; the outer container before one that was made in
 * another; by the better claim; the newest. */
static int
compare_claims (gconstpointer a, gconstpointer b)
{
  const PfsContainer *x = *(PfsContainer *const *) a, *y = *(PfsContainer *const *) b;
  bool x_rule = x->claim == PFS_CLAIM_RULE, y_rule = y->claim == PFS_CLAIM_RULE;

  if (x_rule != y_rule)
    return x_rule ? -1 : 1;
  if (x->cgroup.depth != y->cgroup.depth)
    return x->cgroup.depth < y->cgroup.depth ? -1 : 1;
  if (x->claim != y->claim)
    return x->claim > y->claim ? -1 : 1;
  if (x->main_start != y->main_start)
    return x->main_start > y->main_start ? -1 : 1;
  return x->main_pid > y->main_pid ? -1 : x->main_pid < y->main_pid;
}

static void
claim_names (PfsTable *table, GPtrArray *live)
{
  for (guint i = 0; i < live->len; i++)
    ((PfsContainer *) live->pdata[i])->given = NULL;
  for (guint i = 0; i < table->options.names->len; i++) {
    PfsContainer *match = match_of (table, i, live);
    if (match && !match->given)
      match->given = strchr (table->options.names->pdata[i], '=') + 1;
  }
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    g_autofree char *name = claimed_name (table, c, live);
    g_free (c->next_name);
    /* It is unique in its pod alone. */
    c->next_name = name && table->options.scope == PFS_SCOPE_NODE ? g_strdup_printf ("%s/%s", c->place, name)
                                                                  : g_steal_pointer (&name);
  }
}

void
pfs_assign_names (PfsTable *table, GPtrArray *live)
{
  g_autoptr (GHashTable) taken = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) losers = g_ptr_array_new ();

  table->n_notices = 0;
  claim_names (table, live);
  g_ptr_array_sort (live, compare_claims);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    const PfsContainer *winner = c->next_name ? g_hash_table_lookup (taken, c->next_name) : NULL;
    if (winner) {
      tell (table, &c->told, &(PfsNotice) { PFS_NOTICE_CONFLICT, winner->next_name, winner->cgroup.id, c->cgroup.id });
      g_ptr_array_add (losers, c);
    } else if (c->next_name) {
      g_hash_table_insert (taken, c->next_name, c);
    }
  }
  /* After all claims, so that NAME~ID never takes a name that somebody is called by. */
  for (guint i = 0; i < losers->len; i++) {
    PfsContainer *c = losers->pdata[i];
    g_autofree char *claimed = c->next_name;
    c->next_name = free_name (taken, c, claimed);
    g_hash_table_insert (taken, c->next_name, c);
  }
}
