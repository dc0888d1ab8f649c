/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/parse/stat.h"

static void
check_stat (const char *content, size_t size)
{
  PfsStat stat, before;
  int r;

  memset (&before, 0xaa, sizeof before);
  stat = before;
  r = pfs_stat_parse (content, size, &stat);
  if (r < 0) {
    MUST (r == -EINVAL && memcmp (&stat, &before, sizeof stat) == 0);
    return;
  }
  MUST (stat.pid > 0 && g_ascii_isalpha (stat.state));
  MUST (strnlen (stat.comm, sizeof stat.comm) < sizeof stat.comm);
  MUST (memmem (content, size, stat.comm, strlen (stat.comm)) != NULL);
}

static void
check_status (const char *content, size_t size)
{
  PfsStatus status, before;
  int r;

  memset (&before, 0xaa, sizeof before);
  status = before;
  r = pfs_status_parse (content, size, &status);
  if (r < 0) {
    MUST (r == -EINVAL && memcmp (&status, &before, sizeof status) == 0);
    return;
  }
  MUST (memmem (content, size, "Uid:", 4) && memmem (content, size, "Gid:", 4));
  MUST (status.n_groups <= 65536 && status.n_groups <= size / 2);
  MUST ((status.groups != NULL) == (status.n_groups > 0));
  for (size_t i = 0; i < status.n_groups; i++)
    MUST (status.groups[i] == 0 || memmem (content, size, "Groups:", 7));
  pfs_status_clear (&status);
  MUST (!status.groups && status.n_groups == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  check_stat ((const char *) data, size);
  check_status ((const char *) data, size);
  return 0;
}
