/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "fuzz.h"
#include "peerfs/base/name.h"
#include "peerfs/parse/cgroup.h"

static void
check_identifier (const char *s, size_t size)
{
  MUST (strnlen (s, size) < size);
  MUST (pfs_name_valid (s) && g_ascii_isalnum (s[0]));
  for (; *s; s++)
    MUST (g_ascii_isalnum (*s) || strchr ("_.-+@", *s));
}

static void
check_pod_uid (const char *uid)
{
  size_t len = strlen (uid);

  MUST (len == 32 || len == 36);
  MUST (strspn (uid, len == 32 ? "0123456789abcdef" : "0123456789abcdef-") == len);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const PfsCgroup zero;
  g_autofree char *more = g_malloc (size + 8);
  PfsCgroup cg, again;

  memset (&cg, 0xaa, sizeof cg);
  if (!pfs_cgroup_parse ((const char *) data, size, &cg)) {
    MUST (memcmp (&cg, &zero, sizeof cg) == 0);
    return 0;
  }
  check_identifier (cg.id, sizeof cg.id);
  check_identifier (cg.runtime, sizeof cg.runtime);
  if (*cg.pod_uid)
    check_pod_uid (cg.pod_uid);
  if (*cg.machine)
    check_identifier (cg.machine, sizeof cg.machine);

  /* A hierarchy without the container changes nothing. */
  memcpy (more, data, size);
  memcpy (more + size, "\n9:x:/y\n", 8);
  MUST (pfs_cgroup_parse (more, size + 8, &again));
  MUST (memcmp (&cg, &again, sizeof cg) == 0);
  return 0;
}
