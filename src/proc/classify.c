/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which container a process belongs to.
 *
 * The order is: the id in its cgroup path; the kubelet's mount, where a private cgroup namespace hides the path (ours
 * does, ours alone); our own container, for what shares our mount namespace or root. A runtime that prepares a container
 * is in its cgroup already: it stays pending until it has become something else. */
#include "table_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "peerfs/parse/cgroup.h"
#include "procfile.h"

/* PROC_CGROUP_INIT_INO of include/linux/proc_ns.h */
#define INITIAL_CGROUP_NAMESPACE "cgroup:[4026531835]"

bool
pfs_name_is_runtime (const char *name)
{
  static const char *const runtimes[] = { "runc", "crun", "conmon", "conmonrs", "youki" };

  for (gsize i = 0; i < G_N_ELEMENTS (runtimes); i++)
    if (g_str_has_prefix (name, runtimes[i]) && !g_ascii_isalnum (name[strlen (runtimes[i])]))
      return true;
  return false;
}

GBytes *
pfs_read_mountinfo (int piddir)
{
  GBytes *bytes = NULL;

  return pfs_read_prefix_at (piddir, "mountinfo", PFS_MOUNTINFO_MAX, &bytes) < 0 ? NULL : bytes;
}

/* Returns 1 where the file names a container, 0 where it names none, or -errno. */
static int
read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  gsize len;

  table->files_read++;
  int r = pfs_read_prefix_at (piddir, "cgroup", PFS_CGROUP_MAX, &bytes);
  if (r < 0)
    return r;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_cgroup_parse (content ? content : "", len, ret) && pfs_name_valid (ret->id) ? 1 : 0;
}

static char *
kubelet_key (const PfsKubeletMount *kubelet)
{
  return g_strdup_printf ("%s/%s/%s", kubelet->pod_uid, kubelet->name, kubelet->instance);
}

void
pfs_self_clear (PfsSelf *self)
{
  g_clear_pointer (&self->key, g_free);
  g_clear_pointer (&self->root_key, g_free);
  g_clear_pointer (&self->mnt_ns, g_free);
  self->known = false;
}

/* Without an id and without the kubelet's mount, only a cgroup namespace of its own tells a container from the node. */
static char *
own_key (PfsTable *table, int dir, GBytes *mountinfo)
{
  g_autofree char *cgroup_ns = NULL;
  PfsCgroup cgroup;
  PfsKubeletMount kubelet;
  gsize len;
  const char *content = g_bytes_get_data (mountinfo, &len);

  if (read_cgroup (table, dir, &cgroup) > 0)
    return g_strdup (cgroup.id);
  if (content && pfs_mountinfo_kubelet (content, len, NULL, &kubelet))
    return kubelet_key (&kubelet);
  if (pfs_readlink_at (dir, "ns/cgroup", &cgroup_ns) < 0 || g_str_equal (cgroup_ns, INITIAL_CGROUP_NAMESPACE))
    return NULL;
  return g_strdup ("self");
}

static const PfsSelf *
get_self (PfsTable *table)
{
  PfsSelf *self = &table->self;
  g_autofree char *name = NULL;
  unsigned long mount_id;

  if (self->known)
    return self;
  self->known = true;
  if (pfs_readlink_at (pfs_proc_fd (table->proc), "self", &name) < 0)
    return self;
  pid_t pid = pfs_pid_of_name (name);
  pfs_autofd dir = pid > 0 ? pfs_proc_open_pid (table->proc, pid, O_PATH) : -1;
  if (dir < 0)
    return self;
  g_autoptr (GBytes) mountinfo = pfs_read_mountinfo (dir);
  if (!mountinfo)
    return self;

  gsize len;
  const char *content = g_bytes_get_data (mountinfo, &len);
  self->key = own_key (table, dir, mountinfo);
  if (content)
    pfs_mountinfo_root (content, len, &mount_id, &self->root_key);
  if (pfs_readlink_at (dir, "ns/mnt", &self->mnt_ns) < 0)
    self->mnt_ns = NULL;
  return self;
}

static bool
is_with_us (const PfsSelf *self, int dir, const char *root_key)
{
  g_autofree char *mnt_ns = NULL;

  if (!self->key)
    return false;
  if (root_key && self->root_key && g_str_equal (root_key, self->root_key))
    return true;
  return self->mnt_ns && pfs_readlink_at (dir, "ns/mnt", &mnt_ns) == 0 && g_str_equal (mnt_ns, self->mnt_ns);
}

/* The node's own root is that of its init and of the runtimes' watchers, where we can see them. Of no other process: a
 * tool of the node may well have entered a container's root (nsenter). */
static void
learn_host_root (PfsTable *table, const PfsStat *stat, char *root_key)
{
  g_autofree char *key = root_key;

  if (key && (stat->pid == 1 || g_str_has_prefix (stat->comm, "conmon") || g_str_has_prefix (stat->comm, "containerd")) &&
      g_hash_table_size (table->host_keys) < PFS_HOST_KEYS_MAX)
    g_hash_table_add (table->host_keys, g_steal_pointer (&key));
}

/* The instance with that kubelet mount, if its id is known: a process of it that shows no id for a moment is no new
 * container. */
static PfsContainer *
find_by_kubelet (PfsTable *table, const PfsKubeletMount *kubelet)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, table->instances);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    PfsContainer *c = value;
    if (g_str_equal (c->kubelet.instance, kubelet->instance) && g_str_equal (c->kubelet.name, kubelet->name) &&
        g_str_equal (c->kubelet.pod_uid, kubelet->pod_uid))
      return c;
  }
  return NULL;
}

static void
join (PfsTable *table, PfsRecord *record, const char *key, const PfsCgroup *cgroup)
{
  PfsContainer *c = g_hash_table_lookup (table->instances, key);

  if (!c) {
    c = pfs_container_new (table, key, cgroup->runtime, cgroup->pod_uid, cgroup->machine);
    g_hash_table_insert (table->instances, c->key, c);
  }
  record->container = c;
  record->kind = PFS_KIND_MEMBER;
  record->rank = PFS_RANK_UNKNOWN;
}

static void
classify_without_id (PfsTable *table, PfsRecord *record, int dir, const PfsStat *stat)
{
  static const PfsCgroup no_cgroup = { .runtime = "unknown" };
  g_autoptr (GBytes) mountinfo = pfs_read_mountinfo (dir);
  g_autofree char *root_key = NULL;
  PfsKubeletMount kubelet;
  unsigned long mount_id;
  gsize len = 0;

  if (!mountinfo)
    return;
  const char *content = g_bytes_get_data (mountinfo, &len);
  if (!content)
    content = "";
  bool has_kubelet = pfs_mountinfo_kubelet (content, len, NULL, &kubelet);
  pfs_mountinfo_root (content, len, &mount_id, &root_key);
  const PfsSelf *self = get_self (table);
  if (!has_kubelet && !is_with_us (self, dir, root_key)) {
    record->kind = PFS_KIND_OUTSIDE;
    learn_host_root (table, stat, g_steal_pointer (&root_key));
    return;
  }
  if (pfs_name_is_runtime (stat->comm))
    return;
  g_autofree char *key = has_kubelet ? kubelet_key (&kubelet) : g_strdup (self->key);
  PfsContainer *known = has_kubelet ? find_by_kubelet (table, &kubelet) : NULL;
  join (table, record, known ? known->key : key, &no_cgroup);
}

void
pfs_classify (PfsTable *table, PfsRecord *record)
{
  PfsCgroup cgroup;
  PfsStat stat;

  record->kind = PFS_KIND_PENDING;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, record->pid, O_PATH);
  if (dir < 0 || pfs_proc_stat_at (dir, &stat) < 0)
    return;
  record->start_time = stat.start_time;
  if (pfs_stat_is_dead (&stat)) {
    record->kind = PFS_KIND_OUTSIDE;
    return;
  }
  int has_id = read_cgroup (table, dir, &cgroup);
  if (has_id < 0)
    return;
  if (has_id == 0)
    classify_without_id (table, record, dir, &stat);
  else if (!pfs_name_is_runtime (stat.comm))
    join (table, record, cgroup.id, &cgroup);
}
