/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/stat.h"

#include <errno.h>
#include <limits.h>

#include "text.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of linux/limits.h */
#define DIGITS_MAX 16    /* of a number of 64 bits in base 16 */

/* Behind the name, counted from 0. */
enum { FIELD_STATE, FIELD_FLAGS = 6, FIELD_START_TIME = 19, FIELD_PENDING = 28, N_FIELDS };

static bool
read_field (const char *field, guint64 min, guint64 max, guint64 *ret)
{
  return g_ascii_string_to_unsigned (field, 10, min, max, ret, NULL);
}

int
pfs_stat_parse (const char *content, size_t len, PfsStat *ret)
{
  g_autofree char *text = text_of (content, len);
  char *open = strchr (text, '('), *close = strrchr (text, ')');
  guint64 pid, flags, start_time, pending = 0;

  if (strlen (text) != len || !open || !close || open - text < 2 || close < open || open[-1] != ' ' || close[1] != ' ')
    return -EINVAL;
  open[-1] = *close = '\0';
  if (g_str_has_suffix (close + 2, "\n"))
    close[1 + strlen (close + 2)] = '\0';
  g_auto (GStrv) fields = g_strsplit (close + 2, " ", N_FIELDS + 1);
  guint n = g_strv_length (fields);
  if (strlen (open + 1) >= sizeof ret->comm || n <= FIELD_START_TIME || strlen (fields[FIELD_STATE]) != 1
      || !g_ascii_isalpha (fields[FIELD_STATE][0]) || !read_field (text, 1, INT_MAX, &pid)
      || !read_field (fields[FIELD_FLAGS], 0, UINT32_MAX, &flags)
      || !read_field (fields[FIELD_START_TIME], 0, UINT64_MAX, &start_time)
      || (n > FIELD_PENDING && !read_field (fields[FIELD_PENDING], 0, UINT32_MAX, &pending)))
    return -EINVAL;

  *ret = (PfsStat) {
    .pid = (pid_t) pid,
    .state = fields[FIELD_STATE][0],
    .flags = (uint32_t) flags,
    .start_time = start_time,
    .pending = pending,
  };
  g_strlcpy (ret->comm, open + 1, sizeof ret->comm);
  return 0;
}

/* The numbers of the first line with that label, tabs and spaces between them: hexadecimal ones have 64 bits,
 * others 32. NULL if one is none, or there are less or more of them. */
static GArray *
read_numbers (const char *text, const char *label, guint base, guint min, guint max)
{
  g_autoptr (GArray) numbers = g_array_new (FALSE, FALSE, sizeof (guint64));
  const char *found = strstr (text, label), *p = found ? found + strlen (label) : "";
  guint64 number, most = base == 16 ? G_MAXUINT64 : G_MAXUINT32;
  char *end;

  for (p += strspn (p, " \t"); *p && *p != '\n'; p += strspn (p, " \t")) {
    size_t len = strcspn (p, " \t\n");
    if (numbers->len == max || len > DIGITS_MAX || !g_ascii_isxdigit (*p))
      return NULL;
    number = g_ascii_strtoull (p, &end, base);
    if (end != p + len || number > most)
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
