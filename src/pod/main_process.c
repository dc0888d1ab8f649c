/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main process of an instance: the earliest-started live one that has the container's own root, or has chrooted
 * itself below it.
 *
 * Only here is a process's root trusted, so only here is it examined: while a runtime prepares a container, a process
 * in its cgroup may still have the node's root. Its name and its executable's are anybody's choice, and tell nothing.
 * It is refused with the root of the node's init, of ourselves on the node, or of a container around its own. It is
 * refused while its executable is on no mount of its own mount namespace: then it was started outside, and has not
 * finished exec(2) into the container. But programs do run from memfds and from mounts that were taken away. So that
 * counts for a while only, if something else tells that the root is not the node's (is_surely_own). */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/read.h"

#define EXEC_SECONDS 2 /* a runtime's exec into the container is over by then */

/* It may lie on a mount that does not answer: only what the kernel knows already is asked for. If we may not look at
 * the executable, we may not look at the root either. */
static bool
has_finished_exec (int dir, GBytes *mounts)
{
  struct statx stx;

  return statx (dir, "exe", AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0 || !(stx.stx_mask & STATX_MNT_ID)
         || pfs_mountinfo_device (mounts, stx.stx_mnt_id) != 0;
}

/* True for the root that a process has until it gets its container's own. */
static bool
is_foreign_root (PfsTable *table, const PfsContainer *c, const char *root_key)
{
  const PfsSelf *self = &table->self;

  if (g_strcmp0 (root_key, table->node_root) == 0)
    return true;
  if ((!self->key || (c->has_cgroup_id && pfs_self_contains (self, c->cgroup.chain)))
      && g_strcmp0 (root_key, self->root_key) == 0)
    return true;
  for (const char *slash = c->has_cgroup_id ? strchr (c->cgroup.chain, '/') : NULL; slash;
       slash = strchr (slash + 1, '/')) {
    g_autofree char *key = g_strndup (c->cgroup.chain, (gsize) (slash - c->cgroup.chain));
    const PfsContainer *outer = g_hash_table_lookup (table->instances, key);
    if (outer && g_strcmp0 (root_key, outer->root_key) == 0)
      return true;
  }
  return false;
}

/* Is our own root mounted somewhere in there? So it is in the namespaces where runtimes work. */
static bool
shows_our_root (const PfsSelf *self, GBytes *mounts)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (mounts);
  PfsMountLine line;

  while (self->root_key && pfs_mount_iter_next (iter, &line)) {
    g_autofree char *key = g_strdup_printf ("%u:%u %s ", line.major, line.minor, line.root);
    if (g_str_has_prefix (self->root_key, key))
      return true;
  }
  return false;
}

/* Of a process that has not finished exec: can its root be none but its container's? On the node, outside of all
 * containers, the node's root is known. Under a kubelet, every container but the sandbox shows the kubelet's mount. */
static bool
is_surely_own (const PfsSelf *self, const PfsContainer *c, GBytes *mounts, const char *root_key)
{
  PfsKubeletMount kubelet;

  if (!self->key || g_strcmp0 (root_key, c->root_key) == 0
      || pfs_mountinfo_kubelet (mounts, c->cgroup.pod_uid, &self->kubelet, &kubelet))
    return true;
  return !self->kubelet.name[0] && !shows_our_root (self, mounts);
}

static void
learn_kubelet (PfsContainer *c, const PfsSelf *self, GBytes *mounts)
{
  PfsKubeletMount kubelet;

  if (c->kubelet.name[0] || !pfs_mountinfo_kubelet (mounts, c->cgroup.pod_uid, &self->kubelet, &kubelet))
    return;
  c->kubelet = kubelet;
  if (!c->cgroup.pod_uid[0] && c->main_rank == PFS_RANK_UNKNOWN)
    g_strlcpy (c->cgroup.pod_uid, kubelet.pod_uid, sizeof c->cgroup.pod_uid);
}

/* The mounts that a process has, or its mount namespace if it has chrooted itself and sees none at "/": then
 * *ret_root_key is NULL if we may not look there, or wait in vain. 0 or -errno. */
static int
read_mounts (PfsTable *table, guint64 peer, int dir, GBytes **ret, char **ret_root_key)
{
  int r = pfs_read_prefix_at (dir, "mountinfo", PFS_MOUNTINFO_MAX, ret);
  if (r < 0)
    return r;
  *ret_root_key = pfs_mountinfo_root (*ret);
  g_autoptr (GBytes) all = NULL;
  r = *ret_root_key ? 0 : pfs_namespace_mountinfo (table, peer, dir, &all);
  if (!all)
    return pfs_is_shortage (r) || r == -EAGAIN ? r : 0;
  *ret_root_key = pfs_mountinfo_root (all);
  if (*ret_root_key) {
    g_bytes_unref (*ret);
    *ret = g_steal_pointer (&all);
  }
  return 0;
}

/* Returns a PfsRank, or -errno. */
static int
examine (PfsTable *table, PfsContainer *c, int dir, const PfsStat *stat)
{
  g_autoptr (GBytes) mounts = NULL;
  g_autofree char *root_key = NULL;
  const PfsSelf *self = &table->self;

  int r = read_mounts (table, c->serial, dir, &mounts, &root_key);
  if (r < 0)
    return r;
  bool young = pfs_table_is_young (table, stat->start_time, EXEC_SECONDS);
  if (!root_key)
    return young ? PFS_RANK_UNKNOWN : PFS_RANK_JAILED;
  if (is_foreign_root (table, c, root_key))
    return PFS_RANK_UNKNOWN;
  if (table->proc->live && !has_finished_exec (dir, mounts) && (young || !is_surely_own (self, c, mounts, root_key)))
    return PFS_RANK_UNKNOWN;
  if (c->root_key && !g_str_equal (root_key, c->root_key))
    return PFS_RANK_OTHER_ROOT;
  learn_kubelet (c, self, mounts);
  if (!c->root_key)
    c->root_key = g_steal_pointer (&root_key);
  return PFS_RANK_OWN_ROOT;
}

/* Returns its rank as a main process, UNKNOWN if it can be none now, or -errno if that cannot be told. */
static int
rank_of (PfsTable *table, PfsContainer *c, PfsProcessInfo *info)
{
  PfsStat stat;

  if (info->rank != PFS_RANK_UNKNOWN) {
    int alive = pfs_proc_pid_alive (table->proc, info->pid);
    return alive > 0 ? info->rank : alive;
  }
  pfs_autofd dir = pfs_proc_open_pid (table->proc, info->pid, O_PATH);
  int r = dir < 0 ? dir : pfs_proc_stat_at (dir, 0, &stat);
  if (r < 0)
    return r;
  if (pfs_stat_is_dead (&stat) || stat.start_time != info->start_time)
    return PFS_RANK_UNKNOWN;
  r = examine (table, c, dir, &stat);
  if (r < 0)
    return r;
  info->rank = (guint8) r;
  /* Its arguments would tell more. But they are in its memory, and a read of that may take as long as it likes. */
  info->is_sandbox = pfs_runtime_is_sandbox (stat.comm);
  return r;
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const PfsProcessInfo *x = *(PfsProcessInfo *const *) a, *y = *(PfsProcessInfo *const *) b;

  if (x->start_time != y->start_time)
    return x->start_time < y->start_time ? -1 : 1;
  return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void
set_main (PfsTable *table, PfsContainer *c, const PfsProcessInfo *info)
{
  g_autoptr (PfsProcess) stale = NULL;

  if (c->main_pid == info->pid && c->main_start == info->start_time)
    return;
  c->main_is_sandbox = info->is_sandbox;
  g_mutex_lock (&table->lock);
  c->main_pid = info->pid;
  c->main_start = info->start_time;
  stale = pfs_container_unpin (c);
  g_mutex_unlock (&table->lock);
}

static bool
keeps_main (PfsTable *table, PfsContainer *c)
{
  if (c->main_rank < PFS_RANK_JAILED || !c->root_key)
    return false;
  for (guint i = 0; i < c->members->len; i++) {
    const PfsProcessInfo *info = c->members->pdata[i];
    if (info->pid == c->main_pid)
      return info->start_time == c->main_start && pfs_proc_pid_alive (table->proc, info->pid) != 0;
  }
  return false;
}

/* What a process said when it was asked for its rank, if that is no rank. It may be on its way out (a zombie's
 * mountinfo: EINVAL), or hidden from us for good: there are others. What we lack ourselves stops all. */
static bool
is_about_it (int error)
{
  return error == -ENOENT || error == -ESRCH || error == -EINVAL;
}

static bool
is_refusal (int error)
{
  return error == -EACCES || error == -EPERM;
}

/* By age; one with another root gives way to one that has the container's. If only jailed ones are found, all
 * are looked at: one of the others knows the container's name. */
static int
find_main (PfsTable *table, PfsContainer *c, const PfsProcessInfo **ret, PfsRank *ret_rank)
{
  g_autoptr (GPtrArray) by_age = g_ptr_array_copy (c->members, NULL, NULL);
  int refusal = 0;

  g_ptr_array_sort (by_age, compare_age);
  *ret = NULL;
  *ret_rank = PFS_RANK_UNKNOWN;
  for (guint i = 0; i < by_age->len && (*ret_rank < PFS_RANK_JAILED || !c->root_key); i++) {
    PfsProcessInfo *info = g_ptr_array_index (by_age, i);
    if (info->rank != PFS_RANK_UNKNOWN && (*ret_rank >= PFS_RANK_JAILED || info->rank <= *ret_rank))
      continue;
    int rank = rank_of (table, c, info);
    if (rank < 0 && !is_about_it (rank) && !is_refusal (rank))
      return rank;
    refusal = is_refusal (rank) ? rank : refusal;
    if (*ret_rank >= PFS_RANK_JAILED || rank <= (int) *ret_rank)
      continue;
    *ret = info;
    *ret_rank = (PfsRank) rank;
  }
  return *ret ? 0 : refusal < 0 ? refusal : -ESRCH;
}

int
pfs_choose_main (PfsTable *table, PfsContainer *c)
{
  const PfsProcessInfo *info = NULL;
  PfsRank rank;
  int r = 0;

  if (!keeps_main (table, c)) {
    r = find_main (table, c, &info, &rank);
    if (r == 0)
      set_main (table, c, info);
    if (r == 0 || r == -ESRCH)
      c->main_rank = rank;
  }
  g_mutex_lock (&table->lock);
  c->main_error = r;
  g_mutex_unlock (&table->lock);
  return r;
}
