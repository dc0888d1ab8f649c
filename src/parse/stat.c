/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/stat.h"

#include <errno.h>
#include <limits.h>

#include "bytes.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of linux/limits.h */

enum { FIELD_STATE, FIELD_PPID, FIELD_FLAGS = 6, FIELD_START_TIME = 19 };

static bool
parse_fields (Bytes rest, PfsStat *stat)
{
  Bytes field;
  uint64_t number;

  for (int i = 0; i <= FIELD_START_TIME; i++) {
    if (!bytes_split (&rest, ' ', &field))
      return false;
    switch (i) {
    case FIELD_STATE:
      if (field.len != 1 || !g_ascii_isalpha (field.p[0]))
        return false;
      stat->state = field.p[0];
      break;
    case FIELD_PPID:
      if (!bytes_to_number (field, 10, INT_MAX, &number))
        return false;
      stat->ppid = (pid_t) number;
      break;
    case FIELD_FLAGS:
      if (!bytes_to_number (field, 10, UINT32_MAX, &number))
        return false;
      stat->flags = (uint32_t) number;
      break;
    case FIELD_START_TIME:
      if (!bytes_to_number (field, 10, UINT64_MAX, &stat->start_time))
        return false;
      break;
    default:
      break;
    }
  }
  return true;
}

int
pfs_stat_parse (const char *content, size_t len, PfsStat *ret)
{
  Bytes all = bytes_of (content, len), pid, comm;
  PfsStat stat = { 0 };
  const char *open, *close;
  uint64_t number;

  if (len == 0)
    return -EINVAL;
  open = memchr (content, '(', len);
  close = memrchr (content, ')', len);
  if (!open || !close || open - content < 2 || close < open || open[-1] != ' ')
    return -EINVAL;

  pid = bytes_of (content, (size_t) (open - content) - 1);
  if (!bytes_to_number (pid, 10, INT_MAX, &number) || number == 0)
    return -EINVAL;
  stat.pid = (pid_t) number;

  comm = bytes_of (open + 1, (size_t) (close - open) - 1);
  if (comm.len >= sizeof stat.comm || memchr (comm.p, '\0', comm.len))
    return -EINVAL;
  memcpy (stat.comm, comm.p, comm.len);

  all = bytes_skip (all, (size_t) (close - content) + 1);
  if (all.len == 0 || all.p[0] != ' ')
    return -EINVAL;
  all = bytes_skip (all, 1);
  if (all.len > 0 && all.p[all.len - 1] == '\n')
    all.len--;
  if (!parse_fields (all, &stat))
    return -EINVAL;

  *ret = stat;
  return 0;
}

/* The next number of a tab- or space-separated list. Returns false at its end; sets *ret_bad if it is no number. */
static bool
next_id (Bytes *rest, uint32_t *ret, bool *ret_bad)
{
  size_t n = 0;
  uint64_t number;

  while (rest->len > 0 && (rest->p[0] == '\t' || rest->p[0] == ' '))
    *rest = bytes_skip (*rest, 1);
  if (rest->len == 0)
    return false;
  while (n < rest->len && rest->p[n] != '\t' && rest->p[n] != ' ')
    n++;
  if (!bytes_to_number (bytes_of (rest->p, n), 10, UINT32_MAX, &number)) {
    *ret_bad = true;
    return false;
  }
  *rest = bytes_skip (*rest, n);
  *ret = (uint32_t) number;
  return true;
}

static bool
parse_four (Bytes rest, uint32_t ids[4])
{
  uint32_t more;
  bool bad = false;

  for (int i = 0; i < 4; i++)
    if (!next_id (&rest, &ids[i], &bad))
      return false;
  return !next_id (&rest, &more, &bad) && !bad;
}

static bool
parse_groups (Bytes rest, GArray *groups)
{
  uint32_t group;
  bool bad = false;

  while (next_id (&rest, &group, &bad)) {
    gid_t gid = group;

    if (groups->len >= GROUPS_MAX)
      return false;
    g_array_append_val (groups, gid);
  }
  return !bad;
}

static bool
parse_mask (Bytes rest, uint64_t *ret)
{
  while (rest.len > 0 && (rest.p[0] == '\t' || rest.p[0] == ' '))
    rest = bytes_skip (rest, 1);
  return bytes_to_number (rest, 16, UINT64_MAX, ret);
}

enum { SEEN_UID = 1, SEEN_GID = 2, SEEN_GROUPS = 4, SEEN_PRM = 8, SEEN_EFF = 16, SEEN_BND = 32, SEEN_NNP = 64 };

/* True for the first line with that label; *ret_rest is the text behind it. */
static bool
take (Bytes line, const char *label, unsigned int bit, unsigned int *seen, Bytes *ret_rest)
{
  if ((*seen & bit) || !bytes_has_prefix (line, label))
    return false;
  *seen |= bit;
  *ret_rest = bytes_skip (line, strlen (label));
  return true;
}

int
pfs_status_parse (const char *content, size_t len, PfsStatus *ret)
{
  g_autoptr (GArray) groups = g_array_new (FALSE, FALSE, sizeof (gid_t));
  Bytes all = bytes_of (content, len), line, rest;
  uint32_t uid[4] = { 0 }, gid[4] = { 0 };
  uint64_t no_new_privs = 0;
  PfsStatus status = { 0 };
  unsigned int seen = 0;

  while (bytes_split (&all, '\n', &line)) {
    bool good = true;

    if (take (line, "Uid:", SEEN_UID, &seen, &rest))
      good = parse_four (rest, uid);
    else if (take (line, "Gid:", SEEN_GID, &seen, &rest))
      good = parse_four (rest, gid);
    else if (take (line, "Groups:", SEEN_GROUPS, &seen, &rest))
      good = parse_groups (rest, groups);
    else if (take (line, "CapPrm:", SEEN_PRM, &seen, &rest))
      good = parse_mask (rest, &status.cap_prm);
    else if (take (line, "CapEff:", SEEN_EFF, &seen, &rest))
      good = parse_mask (rest, &status.cap_eff);
    else if (take (line, "CapBnd:", SEEN_BND, &seen, &rest))
      good = parse_mask (rest, &status.cap_bnd);
    else if (take (line, "NoNewPrivs:", SEEN_NNP, &seen, &rest))
      good = parse_mask (rest, &no_new_privs);
    if (!good)
      return -EINVAL;
  }
  if (!(seen & SEEN_UID) || !(seen & SEEN_GID))
    return -EINVAL;

  status.uid = uid[0], status.euid = uid[1], status.suid = uid[2], status.fsuid = uid[3];
  status.gid = gid[0], status.egid = gid[1], status.sgid = gid[2], status.fsgid = gid[3];
  status.no_new_privs = no_new_privs != 0;
  status.n_groups = groups->len;
  status.groups = groups->len > 0 ? (gid_t *) g_array_free (g_steal_pointer (&groups), FALSE) : NULL;
  *ret = status;
  return 0;
}

void
pfs_status_clear (PfsStatus *status)
{
  g_clear_pointer (&status->groups, g_free);
  status->n_groups = 0;
}
