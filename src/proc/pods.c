/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pod each container of a node is of, and what it is called.
 *
 * The uid is in the cgroup's path, where no container can choose it; else the kubelet's mount tells it. Namespace and name
 * are in the kubelet's folders of logs, on the node's root: that of its init. Only the uids of containers that live are
 * looked for and kept, however many folders there are. */
#include "table_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/parse/podlog.h"

#define LOG_FOLDER "var/log/pods"
#define FOLDERS_MAX 65536               /* entries looked at */
#define AGAIN_USEC G_USEC_PER_SEC       /* uids that no folder has are looked for so often */
#define SHORT_UID 12

const char *
pfs_pods_uid (const PfsTable *table, const PfsContainer *c)
{
  if (c->outer_pod[0])
    return c->outer_pod;
  if (c->beside_us && table->self.kubelet.name[0] && !pfs_kubelet_same_node (&c->kubelet, &table->self.kubelet))
    return table->self.kubelet.pod_uid;
  return c->pod_uid;
}

static DIR *
open_log_folder (PfsTable *table)
{
  g_autofree char *physical = NULL;
  pfs_autofd root = openat (pfs_proc_fd (table->proc), "1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (root < 0 || pfs_inroot_physical (root, LOG_FOLDER, &physical) < 0)
    return NULL;
  pfs_autofd fd = pfs_inroot_open (root, physical, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir)
    pfs_fd_steal (&fd);
  return dir;
}

/* No kubelet gives one uid two names: such a one has none. */
static void
take_folder (GHashTable *names, const char *folder)
{
  PfsPodLog log;
  const char *known;

  if (!pfs_podlog_parse (folder, &log) || !(known = g_hash_table_lookup (names, log.uid)))
    return;
  g_hash_table_replace (names, g_strdup (log.uid),
                        *known ? g_strdup_printf ("_/%s", log.uid) : g_strdup_printf ("%s/%s", log.namespace, log.pod));
}

static gboolean
is_nameless (gpointer uid, gpointer name, gpointer data)
{
  bool *complete = data;

  (void) uid;
  if (*(char *) name)
    return FALSE;
  *complete = false;
  return TRUE;
}

/* names: a set of uids with empty names, which those have afterwards that a folder tells; others are taken out. */
static void
read_names (PfsTable *table, GHashTable *names)
{
  DIR *dir = open_log_folder (table);
  struct dirent *entry;

  for (guint i = 0; dir && i < FOLDERS_MAX && (entry = readdir (dir)); i++)
    take_folder (names, entry->d_name);
  if (dir)
    closedir (dir);
  table->pod_names_complete = true;
  g_hash_table_foreach_remove (names, is_nameless, &table->pod_names_complete);
}

/* Reads the folders again if a container came whose pod was not looked for yet, and now and then if one has no name. */
static void
update_names (PfsTable *table, GPtrArray *live)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gint64 now = g_get_monotonic_time ();
  bool due = !table->pod_names || (!table->pod_names_complete && now - table->pod_names_time >= AGAIN_USEC);

  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    const char *uid = pfs_pods_uid (table, c);
    due = due || (!c->place && !g_hash_table_contains (table->pod_names, uid));
    if (*uid)
      g_hash_table_replace (names, g_strdup (uid), g_strdup (""));
  }
  if (!due)
    return;
  read_names (table, names);
  g_clear_pointer (&table->pod_names, g_hash_table_unref);
  table->pod_names = g_steal_pointer (&names);
  table->pod_names_time = now;
}

/* The uid by each "NAMESPACE/POD"; NULL if two pods have it at one time (what is left of one that was deleted by force). */
static GHashTable *
find_owners (PfsTable *table)
{
  GHashTable *owners = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer uid, name;

  g_hash_table_iter_init (&iter, table->pod_names);
  while (g_hash_table_iter_next (&iter, &uid, &name))
    g_hash_table_insert (owners, name, g_hash_table_contains (owners, name) ? NULL : uid);
  return owners;
}

static char *
place_of (PfsTable *table, GHashTable *owners, const char *uid)
{
  const char *name = g_hash_table_lookup (table->pod_names, uid);

  if (!name)
    return g_strdup_printf ("_/%s", *uid ? uid : "_");
  if (g_hash_table_lookup (owners, name))
    return g_strdup (name);
  const char *pod = strchr (name, '/') + 1;
  return g_strdup_printf ("%.*s%.*s~%.*s", (int) (pod - name), name, NAME_MAX - SHORT_UID - 1, pod, SHORT_UID, uid);
}

void
pfs_pods_place (PfsTable *table, GPtrArray *live)
{
  if (table->scope == PFS_SCOPE_OWN)
    return;
  update_names (table, live);
  g_autoptr (GHashTable) owners = find_owners (table);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    g_free (c->place);
    c->place = place_of (table, owners, pfs_pods_uid (table, c));
  }
}

bool
pfs_pods_is_shown (const PfsTable *table, const PfsContainer *c)
{
  if (table->scope != PFS_SCOPE_POD)
    return true;
  return g_str_equal (pfs_podlog_is_uid (table->pod) ? pfs_pods_uid (table, c) : c->place, table->pod);
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
  const PfsPod *x = *(PfsPod *const *) a, *y = *(PfsPod *const *) b;
  int order = strcmp (x->place, y->place);

  return order ? order : strcmp (x->uid, y->uid);
}

static void
pod_free (gpointer data)
{
  PfsPod *pod = data;

  g_free (pod->place);
  g_free (pod->uid);
  g_free (pod);
}

GPtrArray *
pfs_pods_list (const PfsTable *table, GPtrArray *live)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *pods = g_ptr_array_new_with_free_func (pod_free);

  for (guint i = 0; i < live->len; i++) {
    const PfsContainer *c = live->pdata[i];
    if (!c->place || !g_hash_table_add (seen, c->place))
      continue;
    PfsPod *pod = g_new0 (PfsPod, 1);
    pod->place = g_strdup (c->place);
    pod->uid = g_strdup (pfs_pods_uid (table, c));
    g_ptr_array_add (pods, pod);
  }
  g_ptr_array_sort (pods, compare_places);
  return pods;
}
