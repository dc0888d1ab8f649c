/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ourselves, as a /proc shows us: the container that we are in, and what its pod looks like. */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>

#include "peerfs/base/fd.h"
#include "peerfs/base/name.h"
#include "peerfs/base/read.h"
#include "peerfs/proc/procfile.h"

#define SELF_SECONDS 10 /* our container stays the same: only a start may have been early */

/* PROC_CGROUP_INIT_INO of include/linux/proc_ns.h */
#define INITIAL_CGROUP_NAMESPACE "cgroup:[4026531835]"

int
pfs_read_cgroup (PfsTable *table, int piddir, PfsCgroup *ret, bool *ret_outside)
{
  g_autoptr (GBytes) bytes = NULL;
  gsize len;

  table->files_read++;
  int r = pfs_read_prefix_at (piddir, "cgroup", PFS_CGROUP_MAX, &bytes);
  if (r < 0)
    return r;
  const char *content = g_bytes_get_data (bytes, &len);
  *ret_outside = pfs_cgroup_is_outside (content ? content : "", len);
  return pfs_cgroup_parse (content ? content : "", len, ret) && pfs_name_valid (ret->id) ? 1 : 0;
}

char *
pfs_kubelet_key (const PfsKubeletMount *kubelet)
{
  return g_strdup_printf ("%s/%s/%s", kubelet->pod_uid, kubelet->name, kubelet->instance);
}

void
pfs_self_clear (PfsSelf *self)
{
  g_clear_pointer (&self->key, g_free);
  g_clear_pointer (&self->root_key, g_free);
  g_clear_pointer (&self->mnt_ns, g_free);
  self->kubelet = (PfsKubeletMount) { .name = "" };
  self->has_cgroup_id = false;
  self->known = false;
}

/* Without an id and without the kubelet's mount, only a cgroup namespace of its own tells a container from the node. */
static int
own_key (PfsTable *table, int dir, PfsSelf *self)
{
  g_autofree char *cgroup_ns = NULL;
  g_autofree PfsCgroup *cgroup = g_new (PfsCgroup, 1);
  bool outside;

  int r = pfs_read_cgroup (table, dir, cgroup, &outside);
  if (r < 0)
    return r;
  self->has_cgroup_id = r > 0;
  if (self->has_cgroup_id)
    self->key = g_strdup (cgroup->chain);
  else if (self->kubelet.name[0])
    self->key = pfs_kubelet_key (&self->kubelet);
  else if (pfs_readlink_at (dir, "ns/cgroup", &cgroup_ns) == 0 && !g_str_equal (cgroup_ns, INITIAL_CGROUP_NAMESPACE))
    self->key = g_strdup ("self");
  return 0;
}

static int
read_self (PfsTable *table, PfsSelf *self)
{
  g_autoptr (GBytes) mountinfo = NULL;
  g_autofree char *name = NULL;
  unsigned long mount_id;
  gsize len;

  int r = pfs_readlink_at (pfs_proc_fd (table->proc), "self", &name);
  if (r < 0)
    return r == -ENOENT || r == -EINVAL ? 0 : r; /* not in this one */
  pid_t pid = pfs_pid_of_name (name);
  pfs_autofd dir = pid > 0 ? pfs_proc_open_pid (table->proc, pid, O_PATH) : -ENOENT;
  r = dir < 0 ? dir : pfs_read_prefix_at (dir, "mountinfo", PFS_MOUNTINFO_MAX, &mountinfo);
  if (r < 0)
    return r == -ENOENT ? 0 : r; /* a saved copy: the process that read it is gone */

  const char *content = g_bytes_get_data (mountinfo, &len);
  pfs_mountinfo_kubelet (content ? content : "", len, NULL, NULL, &self->kubelet);
  r = own_key (table, dir, self);
  if (r < 0)
    return r == -ENOENT ? 0 : r;
  pfs_mountinfo_root (content ? content : "", len, &mount_id, &self->root_key);
  if (pfs_readlink_at (dir, "ns/mnt", &self->mnt_ns) < 0)
    self->mnt_ns = NULL;
  return 0;
}

bool
pfs_self_contains (const PfsSelf *self, const char *chain)
{
  return self->key && !self->has_cgroup_id && !g_str_has_prefix (chain, "../");
}

int
pfs_self_get (PfsTable *table, const PfsSelf **ret)
{
  gint64 now = g_get_monotonic_time ();

  if (!table->self.known || now - table->self_time > SELF_SECONDS * G_USEC_PER_SEC) {
    pfs_self_clear (&table->self);
    int r = read_self (table, &table->self);
    if (r < 0)
      return r;
    table->self.known = true;
    table->self_time = now;
  }
  *ret = &table->self;
  return 0;
}
