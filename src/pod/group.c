/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which container a process belongs to.
 *
 * The order is: the ids in its cgroup path; the kubelet's mount, if a private cgroup namespace hides the path (ours
 * does, ours alone) or the path names none; our own container, for what shares our mount namespace or root.
 *
 * A process can choose its name, its mounts (with SYS_ADMIN) and, if it may make cgroups, the cgroups below its own. It
 * cannot choose the ids above that: they come first, all of them. And as what is below an id has it, a process without
 * one is not of a container that has: a tool of the node may have entered its namespaces (nsenter). */
#include "state.h"

#include <fcntl.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

static bool
is_with_us (const PfsSelf *self, int dir, const char *root_key)
{
  g_autofree char *mnt_ns = NULL;

  if (!self->key || self->has_cgroup_id)
    return false;
  if (root_key && g_strcmp0 (root_key, self->root_key) == 0)
    return true;
  return self->mnt_ns && pfs_readlink_at (dir, "ns/mnt", &mnt_ns) == 0 && g_str_equal (mnt_ns, self->mnt_ns);
}

PfsContainer *
pfs_find_by_kubelet (PfsTable *table, const PfsKubeletMount *kubelet)
{
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);

  for (const GList *l = all; l; l = l->next) {
    PfsContainer *c = l->data;
    if (c->has_cgroup_id && g_str_equal (c->kubelet.instance, kubelet->instance)
        && g_str_equal (c->kubelet.name, kubelet->name) && g_str_equal (c->kubelet.pod_uid, kubelet->pod_uid))
      return c;
  }
  return NULL;
}

/* Is it in the mount namespace of a container that has an id? */
static bool
is_visitor (PfsTable *table, int dir)
{
  g_autofree char *mnt_ns = NULL;

  if (pfs_readlink_at (dir, "ns/mnt", &mnt_ns) < 0)
    return false;
  g_autoptr (GList) all = g_hash_table_get_values (table->instances);
  for (const GList *l = all; l; l = l->next) {
    const PfsContainer *c = l->data;
    g_autofree char *name = g_strdup_printf ("%d/ns/mnt", c->main_pid);
    g_autofree char *other = NULL;
    if (c->has_cgroup_id && c->main_pid > 0 && pfs_readlink_at (table->proc->fd, name, &other) == 0
        && g_str_equal (mnt_ns, other))
      return true;
  }
  return false;
}

static void
join (PfsTable *table, PfsProcessInfo *info, const PfsCgroup *cgroup, bool has_cgroup_id)
{
  PfsContainer *c = g_hash_table_lookup (table->instances, cgroup->chain);

  if (!c) {
    c = pfs_container_new (table, cgroup, has_cgroup_id);
    g_hash_table_insert (table->instances, c->cgroup.chain, c);
  }
  info->container = c;
  info->kind = PFS_KIND_MEMBER;
  info->rank = PFS_RANK_UNKNOWN;
}

/* The node's own root is that of its init, if that is of no container. Of no other process: a tool of the node may well
 * have entered a container's root. */
static void
learn_node_root (PfsTable *table, PfsProcessInfo *info, int dir)
{
  g_autoptr (GBytes) mountinfo = NULL;
  PfsKubeletMount kubelet;

  if (pfs_read_prefix_at (dir, "mountinfo", PFS_MOUNTINFO_MAX, &mountinfo) < 0) {
    info->kind = PFS_KIND_PENDING;
    return;
  }
  g_autofree char *root_key = pfs_mountinfo_root (mountinfo);
  if (!root_key || pfs_mountinfo_kubelet (mountinfo, NULL, NULL, &kubelet)
      || (info->kind != PFS_KIND_BESIDE && is_with_us (&table->self, dir, root_key)))
    return;
  g_free (table->node_root);
  table->node_root = g_steal_pointer (&root_key);
}

void
pfs_classify (PfsTable *table, PfsProcessInfo *info)
{
  PfsCgroup cgroup;
  PfsStat stat;

  info->kind = PFS_KIND_PENDING;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, info->pid, O_PATH);
  if (dir < 0 || pfs_proc_stat_at (dir, 0, &stat) < 0)
    return;
  info->start_time = stat.start_time;
  if (pfs_stat_is_dead (&stat)) {
    info->kind = PFS_KIND_OUTSIDE;
    return;
  }
  int has_id = pfs_read_cgroup (table, dir, &cgroup);
  if (has_id < 0)
    return;
  if (has_id > 0) {
    cgroup.depth += pfs_self_contains (&table->self, cgroup.chain);
    join (table, info, &cgroup, true);
    return;
  }
  info->kind = cgroup.outside ? PFS_KIND_BESIDE : PFS_KIND_WITHOUT_ID;
  if (info->pid == 1)
    learn_node_root (table, info, dir);
}

void
pfs_classify_without_id (PfsTable *table, PfsProcessInfo *info)
{
  PfsCgroup cgroup = { .runtime = "unknown", .depth = 1 };
  bool beside = info->kind == PFS_KIND_BESIDE;
  g_autoptr (GBytes) mountinfo = NULL;
  const PfsSelf *self = &table->self;
  PfsKubeletMount kubelet;

  info->kind = PFS_KIND_PENDING;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, info->pid, O_PATH);
  if (dir < 0 || pfs_read_prefix_at (dir, "mountinfo", PFS_MOUNTINFO_MAX, &mountinfo) < 0)
    return;
  bool has_kubelet = pfs_mountinfo_kubelet (mountinfo, NULL, &self->kubelet, &kubelet);
  g_autofree char *root_key = pfs_mountinfo_root (mountinfo);
  bool with_us = !beside && is_with_us (self, dir, root_key);

  info->kind = PFS_KIND_OUTSIDE;
  if ((!has_kubelet && !with_us) || (has_kubelet && pfs_find_by_kubelet (table, &kubelet)) || is_visitor (table, dir))
    return;
  g_autofree char *key = with_us ? g_strdup (self->key) : pfs_kubelet_key (&kubelet);
  g_strlcpy (cgroup.id, key, sizeof cgroup.id);
  g_strlcpy (cgroup.chain, key, sizeof cgroup.chain);
  join (table, info, &cgroup, false);
}
