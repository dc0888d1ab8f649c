/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "as.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C (1) << (capability))

/* Linux never checks CAP_NET_BROADCAST. A container has the last one by default. */
static const int guards[] = { CAP_NET_BROADCAST, CAP_WAKE_ALARM, CAP_BLOCK_SUSPEND, CAP_NET_BIND_SERVICE };

/* A process with CAP_SYS_PTRACE, or one that gets it by becoming root, may trace every process: no guard helps against
 * it. Others may get what their bounding set allows, for example by a setuid program. */
uint64_t
pfs_become_threat (const PfsStatus *process)
{
  if (process->cap_prm & BIT (CAP_SYS_PTRACE))
    return 0;
  bool grows = !process->no_new_privs && !(process->cap_bnd & BIT (CAP_SYS_PTRACE));
  return process->cap_prm | (grows ? process->cap_bnd : 0);
}

int
pfs_become_choose_guard (uint64_t permitted, uint64_t threat)
{
  for (size_t i = 0; i < G_N_ELEMENTS (guards); i++) {
    if (permitted & ~threat & BIT (guards[i]))
      return guards[i];
  }
  return -1;
}

/* Gives the capabilities that processes of other containers can have. Returns PFS_EXIT_DONE, or another exit status
 * after telling the user. */
static int
look_at_peers (PfsTable *table, uint64_t *ret_threat)
{
  g_autoptr (GPtrArray) containers = NULL;
  int proc = pfs_table_proc (table)->fd;
  int exit_status = pfs_app_containers (table, &containers);
  if (exit_status != PFS_EXIT_DONE)
    return exit_status;
  *ret_threat = 0;
  for (guint i = 0; i < containers->len; i++) {
    if (pfs_app_is_own (containers->pdata[i]))
      continue;
    g_autoptr (GArray) pids = pfs_container_pids (containers->pdata[i]);
    for (guint j = 0; j < pids->len; j++) {
      g_auto (PfsStatus) status = { 0 };
      g_autofree char *file = g_strdup_printf ("%d/status", (int) g_array_index (pids, pid_t, j));
      if (pfs_proc_status_at (proc, file, &status) == 0)
        *ret_threat |= pfs_become_threat (&status);
    }
  }
  return PFS_EXIT_DONE;
}

/* A command of the same user keeps the groups that it has. */
static int
take_groups (const PfsStatus *self, const PfsStatus *user, bool same_user, const char *target)
{
  /* The kernel keeps them in ascending order. */
  bool same_groups = self->n_groups == user->n_groups;
  for (size_t i = 0; same_groups && i < user->n_groups; i++)
    same_groups = self->groups[i] == user->groups[i];
  if (same_groups || setgroups (user->n_groups, user->groups) == 0)
    return 0;
  if (errno != EPERM || !same_user)
    return -errno;
  g_autoptr (GString) list = g_string_new (NULL);
  for (size_t i = 0; i < user->n_groups; i++)
    g_string_append_printf (list, "%s%u", i ? "," : "", (guint) user->groups[i]);
  pfs_say (
      "warning: keeping our own supplementary groups instead of those of '%s' (%s): changing them takes CAP_SETGID",
      target, list->len ? list->str : "none");
  return 0;
}

/* Takes the effective ids: others see these of the process, in SO_PEERCRED too. Permitted capabilities stay. */
static int
take_ids (const PfsStatus *self, const PfsStatus *user, bool same_user, const char *target)
{
  if (prctl (PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
    return -errno;
  int r = take_groups (self, user, same_user, target);
  if (r < 0 || same_user)
    return r;
  (void) prctl (PR_SET_KEEPCAPS, 1, 0, 0, 0); /* if this fails, the check for the guard fails later */
  if (setresgid (user->egid, user->egid, user->egid) < 0 || setresuid (user->euid, user->euid, user->euid) < 0)
    return -errno;
  return 0;
}

/* Keeps only this capability (-1: none), in every set but the bounding one. */
static int
keep_only (int guard)
{
  if (prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
    return -errno;
  capng_clear (CAPNG_SELECT_CAPS);
  if (guard >= 0)
    capng_update (CAPNG_ADD, (capng_type_t) (CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE),
                  (unsigned int) guard);
  if (capng_apply (CAPNG_SELECT_CAPS) < 0)
    return -EPERM;
  if (guard >= 0
      && (prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, guard, 0, 0) < 0
          || prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, guard, 0, 0) != 1))
    return -EPERM;
  return 0;
}

static int
say_unguarded (const char *target)
{
  pfs_say ("processes of other containers could trace a command that runs as '%s': this container has no capability "
           "that they cannot get; add WAKE_ALARM to it (capabilities: add: [WAKE_ALARM]), or take --unguarded",
           target);
  return PFS_EXIT_FAILURE;
}

int
pfs_become (PfsTable *table, const PfsOptions *options, const PfsStatus *user, bool *ret_changed)
{
  g_auto (PfsStatus) self = { 0 };
  uint64_t threat;
  int r = pfs_proc_status_at (AT_FDCWD, "/proc/self/status", &self);
  int exit_status = look_at_peers (table, &threat);
  if (exit_status != PFS_EXIT_DONE)
    return exit_status;
  bool same_user = r == 0 && self.uid == user->euid && self.euid == user->euid && self.suid == user->euid
                   && self.gid == user->egid && self.egid == user->egid && self.sgid == user->egid;
  bool root = user->euid == 0;
  int guard = root ? -1 : pfs_become_choose_guard (self.cap_prm & self.cap_bnd, threat);
  bool guarded = guard >= 0 || (root && (self.cap_prm & ~threat));
  /* A caller that is that user already and stays as it is gives nothing away. */
  bool unchanged = same_user && (root || self.cap_prm == 0);
  if (!guarded && !unchanged && !options->unguarded)
    return say_unguarded (options->target);

  if (r == 0)
    r = take_ids (&self, user, same_user, options->target);
  if (r < 0) {
    pfs_say ("cannot become uid %u gid %u of '%s': %s; run as root with CAP_SETUID and CAP_SETGID", (guint) user->euid,
             (guint) user->egid, options->target, g_strerror (-r));
    return PFS_EXIT_FAILURE;
  }
  if (!root && keep_only (guard) < 0 && !options->unguarded)
    return say_unguarded (options->target);
  *ret_changed = !same_user;
  return PFS_EXIT_DONE;
}
