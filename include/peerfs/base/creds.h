/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acting for a caller: the calling thread's fsuid, fsgid, supplementary groups and capabilities (setfsuid(2),
 * credentials(7), capabilities(7)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The caller of a request. Learning groups, caps and switching takes system calls, so it may wait until needed: see
 * pfs_caller_known(). */
typedef struct PfsCaller PfsCaller;
struct PfsCaller {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  mode_t umask;
  const gid_t *groups; /* borrowed */
  size_t n_groups;
  uint64_t caps;  /* its effective ones that count in our own user namespace */
  bool switching; /* false if taking its credentials changes nothing */
  bool own_ids;   /* its uid and gid are the daemon's */
  /* NULL, or fills in groups, caps and switching; until then it has none, and switches. */
  void (*learn) (PfsCaller *caller);
};

/* The daemon itself: no switching. */
extern const PfsCaller pfs_caller_self;

/* The same caller, with groups, caps and switching learnt. Call it before you read these. */
static inline const PfsCaller *
pfs_caller_known (const PfsCaller *caller)
{
  PfsCaller *unknown = (PfsCaller *) caller;
  void (*learn) (PfsCaller *caller) = caller->learn;

  if (learn) {
    unknown->learn = NULL;
    learn (unknown);
  }
  return caller;
}

#define PFS_CAP_BIT(cap) (UINT64_C (1) << (cap))
/* A caller with all of these needs no group to do what a group may. */
#define PFS_CAPS_OF_ALL_GROUPS (PFS_CAP_BIT (CAP_DAC_OVERRIDE) | PFS_CAP_BIT (CAP_CHOWN) | PFS_CAP_BIT (CAP_FSETID))

/* The effective capabilities of a thread of our PID namespace, if it is in the user namespace that user_ns names (a
 * readlink of ns/user); else 0. proc_fd is /proc. */
uint64_t pfs_caps_of (int proc_fd, pid_t pid, const char *user_ns);

/* Gives the name of a process's user namespace. proc_fd is /proc. Returns 0 or -errno. */
#define PFS_USER_NS_MAX 32
int pfs_user_ns (int proc_fd, pid_t pid, char ret[PFS_USER_NS_MAX]);

/* The permitted capabilities of this thread; 0 if they cannot be asked. */
uint64_t pfs_caps_permitted (void);

/* Takes the caller's credentials on this thread; capabilities that it lacks are not effective any more. Returns 0 or
 * -errno; on failure the thread is as it was. */
int pfs_creds_enter (const PfsCaller *caller);

/* Gives the thread its own credentials back. Preserves errno. */
void pfs_creds_leave (const PfsCaller *caller);

/* Between the two: lets the thread use one of the daemon's own capabilities (capabilities(7)), but none over files.
 * Returns 0 or -errno. */
int pfs_creds_allow (const PfsCaller *caller, unsigned int capability);

static inline void
pfs_creds_cleanup (const PfsCaller **caller)
{
  if (*caller)
    pfs_creds_leave (*caller);
}

/* Until the end of the scope:  pfs_auto_creds const PfsCaller *as = NULL;  int r = pfs_creds_take (caller, &as); */
#define pfs_auto_creds __attribute__ ((cleanup (pfs_creds_cleanup)))

static inline int
pfs_creds_take (const PfsCaller *caller, const PfsCaller **ret_as)
{
  int r = pfs_creds_enter (caller);

  if (r == 0)
    *ret_as = caller;
  return r;
}
