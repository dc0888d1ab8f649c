/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ourselves, as a /proc shows us: the container that we are in, and what its pod looks like. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"

#define SELF_SECONDS 10 /* our container stays the same: only a start may have been early */

/* PROC_CGROUP_INIT_INO of include/linux/proc_ns.h */
#define INITIAL_CGROUP_NAMESPACE "cgroup:[4026531835]"

int
pfs_read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret)
{
  g_autoptr (GBytes) bytes = NULL;
  gsize len;

  table->files_read++;
  int r = pfs_read_prefix_at (piddir, "cgroup", PFS_CGROUP_MAX, &bytes);
  if (r < 0)
    return r;
  const char *content = g_bytes_get_data (bytes, &len);
  return pfs_cgroup_parse (content, len, ret) && pfs_name_valid (ret->id);
}

char *
pfs_kubelet_key (const PfsKubeletMount *kubelet)
{
  return g_strdup_printf ("%s/%s/%s", kubelet->pod_uid, kubelet->name, kubelet->instance);
}

void
pfs_self_clear (PfsSelf *self)
{
  g_free (self->key);
  g_free (self->root_key);
  g_free (self->mnt_ns);
  *self = (PfsSelf) { .key = NULL };
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsSelf, pfs_self_clear)

/* Without an id and without the kubelet's mount, only a cgroup namespace of its own tells a container from the node. */
static int
own_key (PfsTable *table, int dir, PfsSelf *self)
{
  g_autofree char *cgroup_ns = NULL;
  PfsCgroup cgroup;

  int r = pfs_read_cgroup (table, dir, &cgroup);
  if (r < 0)
    return r;
  self->has_cgroup_id = r > 0;
  if (self->has_cgroup_id)
    self->key = g_strdup (cgroup.chain);
  else if (self->kubelet.name[0])
    self->key = pfs_kubelet_key (&self->kubelet);
  else if (pfs_readlink_at (dir, "ns/cgroup", &cgroup_ns) == 0 && !g_str_equal (cgroup_ns, INITIAL_CGROUP_NAMESPACE))
    self->key = g_strdup ("self");
  return 0;
}

/* -ENOENT if we are not in this /proc; or it is a saved copy, and the process that made it is gone. */
static int
read_self (PfsTable *table, PfsSelf *self)
{
  g_autoptr (GBytes) mountinfo = NULL;
  g_autofree char *name = NULL;

  int r = pfs_readlink_at (table->proc->fd, "self", &name);
  if (r < 0)
    return r == -EINVAL ? -ENOENT : r;
  pfs_autofd dir = pfs_proc_open_pid (table->proc, pfs_pid_of_name (name), O_PATH);
  r = dir < 0 ? dir : pfs_read_prefix_at (dir, "mountinfo", PFS_MOUNTINFO_MAX, &mountinfo);
  if (r < 0)
    return r;
  pfs_mountinfo_kubelet (mountinfo, NULL, NULL, &self->kubelet);
  r = own_key (table, dir, self);
  if (r < 0)
    return r;
  self->root_key = pfs_mountinfo_root (mountinfo);
  (void) pfs_readlink_at (dir, "ns/mnt", &self->mnt_ns);
  return 0;
}

int
pfs_self_read (PfsTable *table)
{
  g_auto (PfsSelf) self = { .key = NULL };
  gint64 now = g_get_monotonic_time ();

  if (table->self_time > 0 && now - table->self_time <= SELF_SECONDS * G_USEC_PER_SEC)
    return 0;
  int r = read_self (table, &self);
  if (r < 0 && r != -ENOENT)
    return r;
  PfsSelf before = table->self;
  table->self = self;
  table->self_time = now;
  self = before;
  return 0;
}

bool
pfs_self_contains (const PfsSelf *self, const char *chain)
{
  return self->key && !self->has_cgroup_id && !g_str_has_prefix (chain, "../");
}
