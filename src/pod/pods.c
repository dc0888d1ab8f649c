/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pod each container of a node is of, and what it is called.
 *
 * The uid is in the cgroup's path, where no container can choose it; else the kubelet's mount tells it. Namespace and
 * name are in the kubelet's folders of logs, on the node's root: that of its init. Only the uids of containers that
 * live are looked for and kept, however many folders there are. That is a file system, and a scan reads
 * nothing but /proc: the caller reads the folders after a scan, and then scans again. */
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"
#include "peerfs/parse/kubelet.h"
#include "sock.h"

#define LOG_FOLDER "var/log/pods"
#define FOLDERS_MAX 65536         /* entries looked at */
#define AGAIN_USEC G_USEC_PER_SEC /* uids that no folder has are looked for so often */
#define SHORT_UID 12

/* The uid of the container's pod; "" without one. */
static const char *
uid_of (const PfsTable *table, const PfsContainer *c)
{
  if (c->cgroup.outer_pod[0])
    return c->cgroup.outer_pod;
  if (c->cgroup.beside_us && table->self.kubelet.name[0] && !pfs_kubelet_same_node (&c->kubelet, &table->self.kubelet))
    return table->self.kubelet.pod_uid;
  return c->cgroup.pod_uid;
}

/* No file system is asked that may not answer. */
static DIR *
open_log_folder (PfsTable *table)
{
  g_autoptr (PfsView) view = NULL;
  g_autofree char *physical = NULL;
  pfs_autofd init = pfs_proc_open_pid (table->proc, 1, O_PATH);

  if (init < 0 || pfs_view_new (init, &view) < 0
      || pfs_inroot_physical (view->root_fd, LOG_FOLDER, view->remote, &physical) < 0)
    return NULL;
  pfs_autofd fd = pfs_inroot_open (view->root_fd, physical, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir)
    pfs_fd_steal (&fd);
  return dir;
}

/* No kubelet gives one uid two names: such a one has none. */
static void
take_folder (GHashTable *names, const char *folder)
{
  g_auto (GStrv) log = pfs_podlog_parse (folder); /* namespace, pod, uid */
  const char *known = log ? g_hash_table_lookup (names, log[2]) : NULL;

  if (!known)
    return;
  g_hash_table_replace (names, g_strdup (log[2]),
                        *known ? g_strdup_printf ("_/%s", log[2]) : g_strdup_printf ("%s/%s", log[0], log[1]));
}

/* By the uids of the pods, "" for those that no folder tells. */
static GHashTable *
read_names (PfsTable *table, const GPtrArray *pods)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  DIR *dir = open_log_folder (table);
  struct dirent *entry;

  for (guint i = 0; i < pods->len; i++)
    g_hash_table_replace (names, g_strdup (((PfsPod *) pods->pdata[i])->uid), g_strdup (""));
  for (guint i = 0; dir && i < FOLDERS_MAX && (entry = readdir (dir)); i++)
    take_folder (names, entry->d_name);
  if (dir)
    closedir (dir);
  return names;
}

/* Is there one that was not looked for yet, or some time ago in vain? */
static bool
is_due (GHashTable *names, gint64 age, const GPtrArray *pods)
{
  for (guint i = 0; i < pods->len; i++) {
    const PfsPod *pod = pods->pdata[i];
    const char *known = g_hash_table_lookup (names, pod->uid);
    if (*pod->uid && (!known || (!*known && age >= AGAIN_USEC)))
      return true;
  }
  return false;
}

GPtrArray *
pfs_table_pods (PfsTable *table)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table->lock);

  return g_ptr_array_ref (table->pods);
}

bool
pfs_pods_learn (PfsTable *table)
{
  gint64 now = g_get_monotonic_time ();

  if (table->options.scope == PFS_SCOPE_OWN)
    return false;
  g_autoptr (GPtrArray) pods = pfs_table_pods (table);
  g_mutex_lock (&table->lock);
  bool due = is_due (table->pod_names, now - table->pod_names_time, pods);
  g_mutex_unlock (&table->lock);
  if (!due)
    return false;
  g_autoptr (GHashTable) names = read_names (table, pods);
  g_mutex_lock (&table->lock);
  GHashTable *old = table->pod_names;
  table->pod_names = g_steal_pointer (&names);
  table->pod_names_time = now;
  g_mutex_unlock (&table->lock);
  g_hash_table_unref (old);
  return true;
}

/* The uid by each "NAMESPACE/POD"; NULL if two pods have it at one time (what is left of one that was deleted by
 * force). */
static GHashTable *
find_owners (PfsTable *table, GHashTable *names, const GPtrArray *live)
{
  GHashTable *owners = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < live->len; i++) {
    const char *uid = uid_of (table, live->pdata[i]);
    char *name = g_hash_table_lookup (names, uid);
    if (name && g_hash_table_contains (owners, name) && g_strcmp0 (g_hash_table_lookup (owners, name), uid) != 0)
      uid = NULL;
    if (name)
      g_hash_table_insert (owners, name, (gpointer) uid);
  }
  return owners;
}

static char *
place_of (GHashTable *names, GHashTable *owners, const char *uid)
{
  const char *name = g_hash_table_lookup (names, uid);

  if (!name || !*name)
    return g_strdup_printf ("_/%s", *uid ? uid : "_");
  if (g_hash_table_lookup (owners, name))
    return g_strdup (name);
  const char *pod = strchr (name, '/') + 1;
  return g_strdup_printf ("%.*s%.*s~%.*s", (int) (pod - name), name, NAME_MAX - SHORT_UID - 1, pod, SHORT_UID, uid);
}

void
pfs_pods_place (PfsTable *table, GPtrArray *live)
{
  if (table->options.scope == PFS_SCOPE_OWN)
    return;
  g_mutex_lock (&table->lock);
  g_autoptr (GHashTable) names = g_hash_table_ref (table->pod_names);
  g_mutex_unlock (&table->lock);
  g_autoptr (GHashTable) owners = find_owners (table, names, live);
  for (guint i = 0; i < live->len; i++) {
    PfsContainer *c = live->pdata[i];
    g_free (c->place);
    c->place = place_of (names, owners, uid_of (table, c));
  }
}

bool
pfs_pods_is_shown (const PfsTable *table, const PfsContainer *c)
{
  if (table->options.scope != PFS_SCOPE_POD)
    return true;
  return g_str_equal (pfs_is_pod_uid (table->options.pod) ? uid_of (table, c) : c->place, table->options.pod);
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
  g_free (((PfsPod *) data)->place);
  g_free (((PfsPod *) data)->uid);
  g_free (data);
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
    pod->uid = g_strdup (uid_of (table, c));
    g_ptr_array_add (pods, pod);
  }
  g_ptr_array_sort (pods, compare_places);
  return pods;
}
