/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only the path says which container a cgroup is of, and every runtime spells it its own way. The parser walks a path
 * from the outside in; the last component that names a container counts. A container may make sub-cgroups, which stay
 * its own. It may be a runtime itself: then its containers are the innermost. */
#include "peerfs/parse/cgroup.h"

#include <glib.h>

#include "bytes.h"

#define ID_DIGITS 64

/* A component of a path, and what is known before it. */
typedef struct {
  Bytes parent, component, next; /* next is empty at the end of the path */
  char pod_uid[64];              /* of the innermost pod so far */
  bool parent_is_pod, is_pod;
  bool in_ecs, in_nomad;
} Walk;

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

/* True for text that may be a file name and be printed. */
static bool
is_plain (Bytes b)
{
  if (b.len == 0 || !g_ascii_isalnum (b.p[0]))
    return false;
  for (size_t i = 0; i < b.len; i++)
    if (!g_ascii_isalnum (b.p[i]) && !memchr ("_.-+@", b.p[i], 5))
      return false;
  return true;
}

static bool
set_id (PfsCgroup *cg, Bytes b, const char *runtime)
{
  if (b.len >= sizeof cg->id || !is_plain (b))
    return false;
  memset (cg, 0, sizeof *cg);
  memcpy (cg->id, b.p, b.len);
  g_strlcpy (cg->runtime, runtime, sizeof cg->runtime);
  return true;
}

static void
set_machine (PfsCgroup *cg, Bytes name)
{
  if (name.len < sizeof cg->machine)
    memcpy (cg->machine, name.p, name.len);
}

/* The last run of exactly 64 lower-case hex digits that no letter or digit touches. */
static bool
find_digits (Bytes c, size_t *ret_start)
{
  for (size_t end = c.len; end >= ID_DIGITS; end--) {
    size_t start = end - ID_DIGITS;

    if ((end < c.len && g_ascii_isalnum (c.p[end])) || (start > 0 && g_ascii_isalnum (c.p[start - 1])))
      continue;
    if (bytes_is_hex (bytes_of (c.p + start, ID_DIGITS))) {
      *ret_start = start;
      return true;
    }
  }
  return false;
}

/* Units and helpers that carry a container's id without being in it: its monitor, its mounts, its health checks
 * (podman's "<id>-<random>.service"), and podman's pods ("machine-libpod_pod_<id>.slice", "libpod_parent/<id>"). */
static bool
is_no_container (const Walk *w)
{
  static const char *const unit_suffixes[] = { ".service", ".mount", ".slice", ".socket", ".swap" };
  Bytes c = w->component;

  for (size_t i = 0; i < G_N_ELEMENTS (unit_suffixes); i++)
    if (bytes_has_suffix (c, unit_suffixes[i]))
      return true;
  if (bytes_has_suffix (c, ".scope") && (bytes_has_prefix (c, "session-") || bytes_has_prefix (c, "run-")))
    return true;
  return bytes_contain (c, "conmon") || bytes_contain (c, "libpod_pod_") || bytes_has_prefix (c, "lxc.monitor")
         || bytes_has_prefix (w->parent, "lxc.monitor")
         || (bytes_equal (w->parent, "libpod_parent") && c.len == ID_DIGITS);
}

/* The runtime, by the text before the digits ("docker-", "slice:cri-containerd:"), else by the component above. */
static const char *
runtime_of (const Walk *w, Bytes prefix)
{
  static const struct {
    const char *word, *runtime;
  } prefixes[] = {
    { "containerd", "containerd" }, { "nerdctl", "containerd" }, { "crio", "crio" }, { "docker", "docker" },
    { "libpod", "podman" }, { "libpod-payload", "podman" }, { "lxc", "lxc" }, { "lxc.payload", "lxc" },
  }, parents[] = {
    { "k8s.io", "containerd" }, { "default", "containerd" }, { "moby", "docker" }, { "docker", "docker" },
    { "libpod", "podman" }, { "crio", "crio" }, { "lxc", "lxc" }, { "lxc.payload", "lxc" }, { "garden", "garden" },
  };

  if (prefix.len > 0)
    prefix.len--;
  for (size_t i = 0; i < G_N_ELEMENTS (prefixes); i++) {
    size_t n = strlen (prefixes[i].word);

    if (bytes_has_suffix (prefix, prefixes[i].word)
        && (prefix.len == n || !g_ascii_isalnum (prefix.p[prefix.len - n - 1])))
      return prefixes[i].runtime;
  }
  if (prefix.len == 0)
    for (size_t i = 0; i < G_N_ELEMENTS (parents); i++)
      if (bytes_equal (w->parent, parents[i].word))
        return parents[i].runtime;
  /* These paths do not name the runtime. */
  if (w->parent_is_pod || w->is_pod)
    return "k8s";
  return w->in_ecs && prefix.len == 0 ? "ecs" : "unknown";
}

static bool
match_digits (const Walk *w, PfsCgroup *cg)
{
  Bytes c = w->component;
  size_t start;

  return !is_no_container (w) && find_digits (c, &start)
         && set_id (cg, bytes_of (c.p + start, ID_DIGITS), runtime_of (w, bytes_of (c.p, start)));
}

/* Forms without 64 digits, known by their place. */
static bool
match_uuid (const Walk *w, PfsCgroup *cg)
{
  Bytes c = w->component, digits = c;

  if (w->parent_is_pod && bytes_is_uuid (c, '-'))
    return set_id (cg, c, "k8s");

  /* Fargate: ecs/<task, 32 hex>/<the same 32 hex>-<decimal>. */
  if (w->in_ecs && c.len > 33 && c.len <= 44 && c.p[32] == '-' && bytes_is_hex (bytes_of (c.p, 32))) {
    uint64_t number;

    digits = bytes_skip (c, 33);
    return bytes_to_number (digits, 10, UINT64_MAX, &number) && set_id (cg, c, "ecs");
  }

  /* Garden's handles are UUIDs; Cloud Foundry cuts their last group to four digits; garden/{good,bad}/ with its CPU
   * entitlement. */
  if ((bytes_equal (w->parent, "garden") || bytes_equal (w->parent, "good") || bytes_equal (w->parent, "bad"))
      && c.len >= 28 && c.len <= 36) {
    char uuid[36] = "00000000-0000-0000-0000-000000000000";

    memcpy (uuid, c.p, c.len);
    return bytes_is_uuid (bytes_of (uuid, sizeof uuid), '-') && set_id (cg, c, "garden");
  }
  return false;
}

/* Nomad without Docker: nomad.slice/share.slice/<allocation>.<task>.scope, or nomad/<allocation>.<task>. */
static bool
match_nomad (const Walk *w, PfsCgroup *cg)
{
  Bytes c = w->component;

  if (bytes_has_suffix (c, ".scope"))
    c.len -= strlen (".scope");
  if (!w->in_nomad || c.len <= 37 || c.p[36] != '.' || !bytes_is_uuid (bytes_of (c.p, 36), '-')
      || !is_plain (bytes_skip (c, 37)) || !set_id (cg, c, "unknown"))
    return false;
  set_machine (cg, bytes_skip (c, 37));
  return true;
}

/* lxc.payload.<name> (LXC 4, LXD, Incus), lxc.payload/<name> (LXC 3.1), lxc/<name> (before, and Proxmox). */
static bool
match_lxc (const Walk *w, PfsCgroup *cg)
{
  Bytes name = w->component;

  if (bytes_has_prefix (name, "lxc.payload."))
    name = bytes_skip (name, strlen ("lxc.payload."));
  else if (!bytes_equal (w->parent, "lxc") && !bytes_equal (w->parent, "lxc.payload"))
    return false;
  if (!set_id (cg, name, "lxc"))
    return false;
  set_machine (cg, name);
  return true;
}

/* Undoes systemd's \xNN (systemd.unit(5), "String escaping"). Returns the number of bytes, 0 if they do not fit. */
static size_t
unescape_unit (Bytes b, char *buf, size_t size)
{
  size_t n = 0;

  for (size_t i = 0; i < b.len; i++) {
    uint64_t byte = (unsigned char) b.p[i];

    if (n == size)
      return 0;
    if (b.len - i >= 4 && b.p[i] == '\\' && b.p[i + 1] == 'x'
        && bytes_to_number (bytes_of (b.p + i + 2, 2), 16, 0xff, &byte))
      i += 3;
    buf[n++] = (char) byte;
  }
  return n;
}

/* libvirt registers its machines as "<driver>-<number>-<name>". */
static bool
is_libvirt (Bytes name, const char *driver)
{
  return bytes_has_prefix (name, driver) && name.len > strlen (driver) && g_ascii_isdigit (name.p[strlen (driver)]);
}

/* machine-<name>.scope of systemd-machined, systemd-nspawn@<name>.service of the template unit. Below them, nspawn
 * itself is in "supervisor", the container in "payload"; only nspawn can be in the service's own cgroup. */
static bool
match_machine (const Walk *w, PfsCgroup *cg)
{
  Bytes c = w->component, name;
  char buf[PFS_ID_MAX];

  if (bytes_equal (w->next, "supervisor"))
    return false;
  if (bytes_has_prefix (c, "machine-") && bytes_has_suffix (c, ".scope"))
    c = bytes_of (c.p + 8, c.len - 8 - 6);
  else if (bytes_has_prefix (c, "systemd-nspawn@") && bytes_has_suffix (c, ".service") && w->next.len > 0)
    c = bytes_of (c.p + 15, c.len - 15 - 8);
  else
    return false;

  name = bytes_of (buf, unescape_unit (c, buf, sizeof buf));
  if (is_libvirt (name, "qemu-") || !set_id (cg, name, is_libvirt (name, "lxc-") ? "lxc" : "nspawn"))
    return false;
  set_machine (cg, name);
  return true;
}

static bool
match_component (const Walk *w, PfsCgroup *cg)
{
  return match_digits (w, cg) || match_uuid (w, cg) || match_nomad (w, cg) || match_lxc (w, cg)
         || match_machine (w, cg);
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

/* Returns false if it does not fit. */
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
  Walk w = { .parent = bytes_of ("", 0) };
  char chain[PFS_CHAIN_MAX] = "", outer_pod[64] = "";
  unsigned int depth = 0, place = 0;
  bool beside_us = false;

  w.component = next_component (&path);
  bool is_outside = bytes_equal (w.component, "..");
  if (is_outside)
    chain_add (chain, "..");
  while (w.component.len > 0) {
    PfsCgroup found;

    w.next = next_component (&path);
    w.is_pod = pod_uid_of (w.component, w.pod_uid);
    if (match_component (&w, &found)) {
      if (!chain_add (chain, found.id))
        break;
      if (!outer_pod[0])
        memcpy (outer_pod, w.pod_uid, sizeof outer_pod);
      beside_us = beside_us || (is_outside && place == 1);
      found.beside_us = beside_us;
      memcpy (found.outer_pod, outer_pod, sizeof outer_pod);
      memcpy (found.pod_uid, w.pod_uid, sizeof found.pod_uid);
      memcpy (found.chain, chain, sizeof chain);
      found.depth = ++depth;
      *cg = found;
    }
    w.in_ecs = w.in_ecs || bytes_equal (w.component, "ecs");
    w.in_nomad = w.in_nomad || bytes_equal (w.component, "nomad") || bytes_equal (w.component, "nomad.slice");
    w.parent_is_pod = w.is_pod;
    w.parent = w.component;
    w.component = w.next;
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
  unsigned int depth, deepest = 0;

  /* Not every v1 hierarchy has a cgroup of every container: take the line that knows most. */
  memset (ret, 0, sizeof *ret);
  while (bytes_split (&all, '\n', &line)) {
    PfsCgroup found;

    depth = path_of (line, &path) ? parse_path (path, &found) : 0;
    if (depth > deepest) {
      deepest = depth;
      *ret = found;
    }
  }
  return deepest > 0;
}

bool
pfs_cgroup_is_outside (const char *content, size_t len)
{
  Bytes all = bytes_of (content, len), line, path;

  while (bytes_split (&all, '\n', &line))
    if (path_of (line, &path) && (bytes_equal (path, "/..") || bytes_has_prefix (path, "/../")))
      return true;
  return false;
}
