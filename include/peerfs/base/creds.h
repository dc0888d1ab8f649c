/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acting for a caller: the calling thread's fsuid, fsgid and supplementary groups (setfsuid(2), credentials(7)). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Who asked. `switching` is false where the daemon's own user is the only one that gets in (no allow_other) or the
 * caller is that very user: then nothing is changed. groups is borrowed. */
typedef struct {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  mode_t umask;
  const gid_t *groups;
  size_t n_groups;
  bool switching;
} PfsCaller;

/* The daemon itself: no switching. */
extern const PfsCaller pfs_caller_self;

/* Takes the caller's credentials on this thread; for a caller that is not root no capability stays effective. Returns 0 or -errno; on failure the thread is as it was. */
int pfs_creds_enter (const PfsCaller *caller);

/* Gives the thread its own credentials back. Preserves errno. */
void pfs_creds_leave (const PfsCaller *caller);

/* Between the two: lets the thread use one of the daemon's own capabilities (capabilities(7)), none of those over files.
 * 0 or -errno. */
int pfs_creds_allow (const PfsCaller *caller, unsigned int capability);

static inline void
pfs_creds_cleanup (const PfsCaller **caller)
{
  if (*caller)
    pfs_creds_leave (*caller);
}

/* Until the end of the scope:  pfs_auto_creds const PfsCaller *as = NULL;  int r = pfs_creds_take (who, &as); */
#define pfs_auto_creds __attribute__ ((cleanup (pfs_creds_cleanup)))

static inline int
pfs_creds_take (const PfsCaller *caller, const PfsCaller **ret_as)
{
  int r = pfs_creds_enter (caller);

  if (r == 0)
    *ret_as = caller;
  return r;
}
