/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only the path says which container a cgroup is of, and every runtime spells it its own way. The parser walks a path
 * from the outside in; the last component that names a container counts. A container may make sub-cgroups, which stay
 * its own. It may be a runtime itself: then its containers are the innermost. */
#include "peerfs/parse/cgroup.h"

#include <glib.h>

#include "runtime.h"

/* "pod<uid>" of the cgroupfs driver, or "kubepods-burstable-pod<uid>.slice" of systemd's, where '_' stands for '-'.
 * The uid is a UUID, or the 32 hex digits of a static pod. */
static bool
pod_uid_of (Bytes c, char uid[64])
{
  for (size_t i = 0; i + 3 <= c.len; i++) {
    Bytes rest = bytes_skip (c, i);
    size_t n = 0;

    if (!bytes_has_prefix (rest, "pod") || (i > 0 && c.p[i - 1] != '-'))
      continue;
    rest = bytes_skip (rest, 3);
    while (n < rest.len && n <= 36 && rest.p[n] != '.' && rest.p[n] != ':')
      n++;
    rest.len = n;
    if (!bytes_is_pod_uid (rest) && !bytes_is_uuid (rest, '_'))
      continue;

    memcpy (uid, rest.p, rest.len);
    uid[rest.len] = '\0';
    g_strdelimit (uid, "_", '-');
    return true;
  }
  return false;
}

static Bytes
next_component (Bytes *path)
{
  Bytes c;

  while (bytes_split (path, '/', &c))
    if (c.len > 0)
      return c;
  return bytes_of ("", 0);
}

/* False if it does not fit. */
static bool
chain_add (char chain[PFS_CHAIN_MAX], const char *id)
{
  size_t len = strlen (chain);
  int n = g_snprintf (chain + len, PFS_CHAIN_MAX - len, "%s%s", len > 0 ? "/" : "", id);

  if ((size_t) n < PFS_CHAIN_MAX - len)
    return true;
  chain[len] = '\0';
  return false;
}

/* Returns how many containers deep the path is; *cg is the innermost, untouched if that is 0. */
static unsigned int
parse_path (Bytes path, PfsCgroup *cg)
{
  PfsCgroupStep step = { .parent = bytes_of ("", 0) };
  const char *begin = path.p;
  char chain[PFS_CHAIN_MAX] = "", outer_pod[64] = "";
  unsigned int depth = 0, place = 0;
  bool beside_us = false;

  step.component = next_component (&path);
  bool is_outside = bytes_equal (step.component, "..");
  if (is_outside)
    chain_add (chain, "..");
  while (step.component.len > 0) {
    PfsCgroup found;

    step.next = next_component (&path);
    step.above = bytes_of (begin, (size_t) (step.component.p - begin));
    step.is_pod = pod_uid_of (step.component, step.pod_uid);
    if (pfs_runtime_match (&step, &found)) {
      if (!chain_add (chain, found.id))
        break;
      if (!outer_pod[0])
        memcpy (outer_pod, step.pod_uid, sizeof outer_pod);
      beside_us = beside_us || (is_outside && place == 1);
      found.beside_us = beside_us;
      memcpy (found.outer_pod, outer_pod, sizeof outer_pod);
      memcpy (found.pod_uid, step.pod_uid, sizeof found.pod_uid);
      memcpy (found.chain, chain, sizeof chain);
      found.depth = ++depth;
      *cg = found;
    }
    step.parent_is_pod = step.is_pod;
    step.parent = step.component;
    step.component = step.next;
    place++;
  }
  return depth;
}

/* "hierarchy-id:controllers:path" (cgroups(7)). The path may hold ':'; one of a removed cgroup ends in " (deleted)". */
static bool
path_of (Bytes line, Bytes *ret)
{
  Bytes number, controllers;
  uint64_t hierarchy;

  if (!bytes_split (&line, ':', &number) || !bytes_to_number (number, 10, UINT32_MAX, &hierarchy)
      || !bytes_split (&line, ':', &controllers) || line.len == 0 || line.p[0] != '/')
    return false;
  if (bytes_has_suffix (line, " (deleted)"))
    line.len -= strlen (" (deleted)");
  *ret = line;
  return true;
}

bool
pfs_cgroup_parse (const char *content, size_t len, PfsCgroup *ret)
{
  Bytes all = bytes_of (content, len), line, path;
  unsigned int deepest = 0;
  bool outside = false;

  /* Not every v1 hierarchy has a cgroup of every container: take the line that knows most. */
  memset (ret, 0, sizeof *ret);
  while (bytes_split (&all, '\n', &line)) {
    PfsCgroup found;

    if (!path_of (line, &path))
      continue;
    outside = outside || bytes_equal (path, "/..") || bytes_has_prefix (path, "/../");
    unsigned int depth = parse_path (path, &found);
    if (depth > deepest) {
      deepest = depth;
      *ret = found;
    }
  }
  ret->outside = outside;
  return deepest > 0;
}
