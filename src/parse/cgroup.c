/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only the path says which container a cgroup is of, and every runtime spells it its own way. The parser walks a path
 * from the outside in; the last component that names a container counts. A container may make sub-cgroups, which stay
 * its own. It may be a runtime itself: then its containers are the innermost. */
#include "peerfs/parse/cgroup.h"

#include "runtime.h"
#include "text.h"

/* "pod<uid>" of the cgroupfs driver, or "kubepods-burstable-pod<uid>.slice" of systemd's, where '_' stands for '-'.
 * The uid is a UUID, or the 32 hex digits of a static pod. */
static bool
pod_uid_of (const char *component, char ret[64])
{
  for (const char *p = component; (p = strstr (p, "pod")); p += 3) {
    g_autofree char *uid = g_strndup (p + 3, 37);
    uid[strcspn (uid, ".:")] = '\0';
    g_strdelimit (uid, "_", '-');
    if ((p > component && p[-1] != '-') || !text_is_pod_uid (uid))
      continue;
    g_strlcpy (ret, uid, 64);
    return true;
  }
  return false;
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

/* path begins with '/'. *ret is the innermost container, with depth 0 if there is none. */
static void
parse_path (const char *path, PfsCgroup *ret)
{
  g_auto (GStrv) parts = g_strsplit (path + 1, "/", -1);
  PfsCgroupStep step = { .path = parts, .name = "" };
  PfsCgroup cg = { .outside = g_strcmp0 (parts[0], "..") == 0 };

  if (cg.outside)
    chain_add (cg.chain, "..");
  *ret = cg;
  for (char **part = parts; *part; part++) {
    step.component = part;
    step.parent = step.name;
    step.name = *part;
    step.next = part[1] ? part[1] : "";
    step.parent_is_pod = step.is_pod;
    step.is_pod = pod_uid_of (*part, cg.pod_uid);
    if (!pfs_runtime_match (&step, &cg))
      continue;
    if (!chain_add (cg.chain, cg.id))
      break;
    if (!cg.outer_pod[0])
      memcpy (cg.outer_pod, cg.pod_uid, sizeof cg.outer_pod);
    cg.beside_us = cg.beside_us || (cg.outside && part == parts + 1);
    cg.depth++;
    *ret = cg;
  }
}

/* "hierarchy-id:controllers:path" (cgroups(7)). The path may hold ':'; one of a removed cgroup ends in " (deleted)". */
static char *
path_of (char *line)
{
  char *number = strsep (&line, ":"), *controllers = strsep (&line, ":");
  guint64 hierarchy;

  if (!controllers || !line || line[0] != '/'
      || !g_ascii_string_to_unsigned (number, 10, 0, G_MAXUINT32, &hierarchy, NULL))
    return NULL;
  if (g_str_has_suffix (line, " (deleted)"))
    line[strlen (line) - strlen (" (deleted)")] = '\0';
  return line;
}

bool
pfs_cgroup_parse (const char *content, size_t len, PfsCgroup *ret)
{
  g_autofree char *text = text_of (content, len);
  char *rest = text;
  bool outside = false;

  /* Not every v1 hierarchy has a cgroup of every container: take the line that knows most. */
  memset (ret, 0, sizeof *ret);
  for (char *line; (line = strsep (&rest, "\n"));) {
    const char *path = path_of (line);
    PfsCgroup found;

    if (!path)
      continue;
    parse_path (path, &found);
    outside = outside || found.outside;
    if (found.depth > ret->depth)
      *ret = found;
  }
  ret->outside = outside;
  return ret->depth > 0;
}
