/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content of /proc/<pid>/stat and /proc/<pid>/status (proc_pid_stat(5), proc_pid_status(5)). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PFS_STAT_MAX 4096
#define PFS_STATUS_MAX (1024 * 1024) /* "Groups:" has up to 65536 numbers */

typedef struct {
  pid_t pid;
  char comm[65];       /* as the kernel cut it; may hold any byte but NUL */
  char state;          /* 'Z' and 'X' are dead */
  uint32_t flags;      /* PF_* of the kernel's include/linux/sched.h */
  uint64_t start_time; /* clock ticks since boot; with the pid, a process's identity */
  uint64_t pending;    /* the thread's signals below 32, signal 1 in bit 0; 0 if they are not told */
} PfsStat;

/* comm may itself contain ')' and newlines: the last ')' ends it. Returns 0, or -EINVAL with *ret untouched. */
int pfs_stat_parse (const char *content, size_t len, PfsStat *ret);

typedef struct {
  uid_t uid, euid, suid;
  gid_t gid, egid, sgid;
  gid_t *groups; /* g_free; NULL if n_groups is 0 */
  size_t n_groups;
  uint64_t cap_prm, cap_bnd;
  bool no_new_privs; /* it can never gain privileges (prctl(2)) */
} PfsStatus;

/* Returns 0, or -EINVAL with *ret untouched. Clear *ret with pfs_status_clear(). */
int pfs_status_parse (const char *content, size_t len, PfsStatus *ret);
void pfs_status_clear (PfsStatus *status);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsStatus, pfs_status_clear)
