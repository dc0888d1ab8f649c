/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/stat.h"

#include <errno.h>
#include <limits.h>

#include "bytes.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of linux/limits.h */

/* Behind the name, counted from 0. */
enum { FIELD_STATE, FIELD_FLAGS = 6, FIELD_START_TIME = 19, FIELD_PENDING = 28, N_FIELDS };

int
pfs_stat_parse (const char *content, size_t len, PfsStat *ret)
{
  const char *open = len > 0 ? memchr (content, '(', len) : NULL, *close = len > 0 ? memrchr (content, ')', len) : NULL;
  Bytes fields[N_FIELDS] = { { "", 0 } };
  uint64_t pid, flags, start_time, pending = 0;

  if (!open || !close || open - content < 2 || close < open || open[-1] != ' ')
    return -EINVAL;
  Bytes comm = bytes_of (open + 1, (size_t) (close - open) - 1);
  Bytes rest = bytes_of (close + 1, (size_t) (content + len - close) - 1);
  if (comm.len >= sizeof ret->comm || memchr (comm.p, '\0', comm.len) || !bytes_has_prefix (rest, " "))
    return -EINVAL;
  rest = bytes_skip (rest, 1);
  if (bytes_has_suffix (rest, "\n"))
    rest.len--;
  for (size_t i = 0; i < N_FIELDS && bytes_split (&rest, ' ', &fields[i]); i++)
    continue;
  Bytes state = fields[FIELD_STATE];
  if (!bytes_to_number (bytes_of (content, (size_t) (open - content) - 1), 10, INT_MAX, &pid) || pid == 0
      || state.len != 1 || !g_ascii_isalpha (state.p[0])
      || !bytes_to_number (fields[FIELD_FLAGS], 10, UINT32_MAX, &flags)
      || !bytes_to_number (fields[FIELD_START_TIME], 10, UINT64_MAX, &start_time)
      || (fields[FIELD_PENDING].len > 0 && !bytes_to_number (fields[FIELD_PENDING], 10, UINT32_MAX, &pending)))
    return -EINVAL;

  *ret = (PfsStat) {
    .pid = (pid_t) pid,
    .state = state.p[0],
    .flags = (uint32_t) flags,
    .start_time = start_time,
    .pending = pending,
  };
  memcpy (ret->comm, comm.p, comm.len);
  return 0;
}

/* The numbers of the first line with that label, tabs and spaces between them: hexadecimal ones have 64 bits,
 * others 32. NULL if one is none, or there are less or more of them. */
static GArray *
read_numbers (const char *text, const char *label, guint base, guint min, guint max)
{
  g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (uint64_t));
  const char *found = strstr (text, label), *p = found ? found + strlen (label) : "";
  uint64_t number, most = base == 16 ? UINT64_MAX : UINT32_MAX;

  for (p += strspn (p, " \t"); *p && *p != '\n'; p += strspn (p, " \t")) {
    size_t len = strcspn (p, " \t\n");
    if (numbers->len == max || !bytes_to_number (bytes_of (p, len), base, most, &number))
      return NULL;
    g_array_append_val (numbers, number);
    p += len;
  }
  return numbers->len >= min ? g_steal_pointer (&numbers) : NULL;
}

/* One that need not be there. */
static bool
read_flags (const char *text, const char *label, uint64_t *ret)
{
  g_autoptr (GArray) numbers = read_numbers (text, label, 16, strstr (text, label) ? 1 : 0, 1);

  if (numbers && numbers->len > 0)
    *ret = g_array_index (numbers, guint64, 0);
  return numbers;
}

int
pfs_status_parse (const char *content, size_t len, PfsStatus *ret)
{
  g_autofree char *text = g_strdup_printf ("\n%.*s", (int) MIN (len, PFS_STATUS_MAX), content);
  g_autoptr (GArray) uids = read_numbers (text, "\nUid:", 10, 4, 4);
  g_autoptr (GArray) gids = read_numbers (text, "\nGid:", 10, 4, 4);
  g_autoptr (GArray) groups = read_numbers (text, "\nGroups:", 10, 0, GROUPS_MAX);
  uint64_t no_new_privs = 0;
  PfsStatus status = { 0 };

  if (!uids || !gids || !groups || !read_flags (text, "\nCapPrm:", &status.cap_prm)
      || !read_flags (text, "\nCapBnd:", &status.cap_bnd) || !read_flags (text, "\nNoNewPrivs:", &no_new_privs))
    return -EINVAL;
  status.uid = (uid_t) g_array_index (uids, guint64, 0);
  status.euid = (uid_t) g_array_index (uids, guint64, 1);
  status.suid = (uid_t) g_array_index (uids, guint64, 2);
  status.gid = (gid_t) g_array_index (gids, guint64, 0);
  status.egid = (gid_t) g_array_index (gids, guint64, 1);
  status.sgid = (gid_t) g_array_index (gids, guint64, 2);
  status.no_new_privs = no_new_privs != 0;
  status.n_groups = groups->len;
  status.groups = groups->len > 0 ? g_new (gid_t, groups->len) : NULL;
  for (guint i = 0; i < groups->len; i++)
    status.groups[i] = (gid_t) g_array_index (groups, guint64, i);
  *ret = status;
  return 0;
}

void
pfs_status_clear (PfsStatus *status)
{
  g_clear_pointer (&status->groups, g_free);
  status->n_groups = 0;
}
