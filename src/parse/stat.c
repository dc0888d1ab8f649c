/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/stat.h"

#include <errno.h>
#include <limits.h>

#include "bytes.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of linux/limits.h */

/* Behind the name, counted from 0. */
enum { FIELD_STATE, FIELD_FLAGS = 6, FIELD_START_TIME = 19 };

int
pfs_stat_parse (const char *content, size_t len, PfsStat *ret)
{
  const char *open = len > 0 ? memchr (content, '(', len) : NULL, *close = len > 0 ? memrchr (content, ')', len) : NULL;
  Bytes fields[FIELD_START_TIME + 1];
  uint64_t pid, flags, start_time;

  if (!open || !close || open - content < 2 || close < open || open[-1] != ' ')
    return -EINVAL;
  Bytes comm = bytes_of (open + 1, (size_t) (close - open) - 1);
  Bytes rest = bytes_of (close + 1, (size_t) (content + len - close) - 1);
  if (comm.len >= sizeof ret->comm || memchr (comm.p, '\0', comm.len) || !bytes_has_prefix (rest, " "))
    return -EINVAL;
  rest = bytes_skip (rest, 1);
  if (bytes_has_suffix (rest, "\n"))
    rest.len--;
  for (size_t i = 0; i < G_N_ELEMENTS (fields); i++)
    if (!bytes_split (&rest, ' ', &fields[i]))
      return -EINVAL;
  Bytes state = fields[FIELD_STATE];
  if (!bytes_to_number (bytes_of (content, (size_t) (open - content) - 1), 10, INT_MAX, &pid) || pid == 0
      || state.len != 1 || !g_ascii_isalpha (state.p[0])
      || !bytes_to_number (fields[FIELD_FLAGS], 10, UINT32_MAX, &flags)
      || !bytes_to_number (fields[FIELD_START_TIME], 10, UINT64_MAX, &start_time))
    return -EINVAL;

  *ret = (PfsStat) { .pid = (pid_t) pid, .state = state.p[0], .flags = (uint32_t) flags, .start_time = start_time };
  memcpy (ret->comm, comm.p, comm.len);
  return 0;
}

/* Finds the first line with that label; *ret is the text behind it. */
static bool
find_line (Bytes all, const char *label, Bytes *ret)
{
  while (bytes_split (&all, '\n', ret))
    if (bytes_has_prefix (*ret, label)) {
      *ret = bytes_skip (*ret, strlen (label));
      return true;
    }
  return false;
}

/* Takes a number with tabs or spaces around it: decimal ones have 32 bits, hexadecimal ones 64. Returns 1, 0 at the
 * end, -1 if something else is there. */
static int
take_number (Bytes *rest, unsigned int base, uint64_t *ret)
{
  size_t n = 0;

  while (rest->len > 0 && (rest->p[0] == '\t' || rest->p[0] == ' '))
    *rest = bytes_skip (*rest, 1);
  if (rest->len == 0)
    return 0;
  while (n < rest->len && rest->p[n] != '\t' && rest->p[n] != ' ')
    n++;
  if (!bytes_to_number (bytes_of (rest->p, n), base, base == 16 ? UINT64_MAX : UINT32_MAX, ret))
    return -1;
  *rest = bytes_skip (*rest, n);
  return 1;
}

/* The line must have n numbers. If there is no such line, that is right for an optional one. */
static bool
read_numbers (Bytes all, const char *label, bool optional, unsigned int base, size_t n, uint64_t *ret)
{
  Bytes rest;
  uint64_t more;

  if (!find_line (all, label, &rest))
    return optional;
  for (size_t i = 0; i < n; i++)
    if (take_number (&rest, base, &ret[i]) <= 0)
      return false;
  return take_number (&rest, base, &more) == 0;
}

static bool
read_groups (Bytes all, GArray *groups)
{
  Bytes rest;
  uint64_t number;
  int r = 0;

  if (!find_line (all, "Groups:", &rest))
    return true;
  while (groups->len <= GROUPS_MAX && (r = take_number (&rest, 10, &number)) > 0) {
    gid_t group = (gid_t) number;
    g_array_append_val (groups, group);
  }
  return r == 0;
}

int
pfs_status_parse (const char *content, size_t len, PfsStatus *ret)
{
  g_autoptr (GArray) groups = g_array_new (FALSE, FALSE, sizeof (gid_t));
  uint64_t uid[4], gid[4], cap_prm = 0, cap_bnd = 0, no_new_privs = 0;
  Bytes all = bytes_of (content, len);

  if (!read_numbers (all, "Uid:", false, 10, 4, uid) || !read_numbers (all, "Gid:", false, 10, 4, gid)
      || !read_groups (all, groups) || !read_numbers (all, "CapPrm:", true, 16, 1, &cap_prm)
      || !read_numbers (all, "CapBnd:", true, 16, 1, &cap_bnd)
      || !read_numbers (all, "NoNewPrivs:", true, 16, 1, &no_new_privs))
    return -EINVAL;
  *ret = (PfsStatus) {
    .uid = (uid_t) uid[0],
    .euid = (uid_t) uid[1],
    .suid = (uid_t) uid[2],
    .gid = (gid_t) gid[0],
    .egid = (gid_t) gid[1],
    .sgid = (gid_t) gid[2],
    .n_groups = groups->len,
    .cap_prm = cap_prm,
    .cap_bnd = cap_bnd,
    .no_new_privs = no_new_privs != 0,
  };
  if (groups->len > 0)
    ret->groups = (gid_t *) (void *) g_array_free (g_steal_pointer (&groups), FALSE);
  return 0;
}

void
pfs_status_clear (PfsStatus *status)
{
  g_clear_pointer (&status->groups, g_free);
  status->n_groups = 0;
}
