/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Container runtimes: how each spells the cgroups of its containers and of its own helpers. A new runtime is a row of
 * the table; a form that its words cannot say is a function beside it. */
#include "runtime.h"

#include <glib.h>

#define ID_DIGITS 64

typedef struct {
  const char *name;        /* as peerfs shows it */
  const char *prefixes[3]; /* the last word before an id of 64 digits: "docker-<id>.scope" */
  const char *parents[3];  /* the cgroup above, if nothing stands before the id: "moby/<id>" */
  const char *above;       /* any cgroup above, if nothing better tells */
  const char *helpers[3];  /* a word in cgroups that carry an id, but are of the runtime's own processes or pods */
  const char *helper_parents[2]; /* likewise the cgroup above: bare ids below it are no containers */
  bool (*match) (const PfsCgroupStep *step, PfsCgroup *ret); /* ids of other forms */
  const char *sandbox;                                       /* the program of a pod's sandbox */
} Runtime;

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

/* Is one of the cgroups above called so? */
static bool
is_below (const PfsCgroupStep *step, const char *name)
{
  Bytes above = step->above, component;

  while (bytes_split (&above, '/', &component))
    if (bytes_equal (component, name))
      return true;
  return false;
}

static bool
match_k8s (const PfsCgroupStep *step, PfsCgroup *cg)
{
  return step->parent_is_pod && bytes_is_uuid (step->component, '-') && set_id (cg, step->component, "k8s");
}

/* Fargate: ecs/<task, 32 hex>/<the same 32 hex>-<decimal>. */
static bool
match_ecs (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;
  uint64_t number;

  return c.len > 33 && c.len <= 44 && c.p[32] == '-' && bytes_is_hex (bytes_of (c.p, 32))
         && bytes_to_number (bytes_skip (c, 33), 10, UINT64_MAX, &number) && is_below (step, "ecs")
         && set_id (cg, c, "ecs");
}

/* Garden's handles are UUIDs, whose last group Cloud Foundry cuts to four digits; garden/{good,bad}/ with its CPU
 * entitlement. */
static bool
match_garden (const PfsCgroupStep *step, PfsCgroup *cg)
{
  char uuid[36] = "00000000-0000-0000-0000-000000000000";
  Bytes c = step->component, parent = step->parent;

  if (!bytes_equal (parent, "garden") && !bytes_equal (parent, "good") && !bytes_equal (parent, "bad"))
    return false;
  if (c.len < 28 || c.len > sizeof uuid)
    return false;
  memcpy (uuid, c.p, c.len);
  return bytes_is_uuid (bytes_of (uuid, sizeof uuid), '-') && set_id (cg, c, "garden");
}

/* Nomad without Docker: nomad.slice/share.slice/<allocation>.<task>.scope, or nomad/<allocation>.<task>. */
static bool
match_nomad (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;

  if (bytes_has_suffix (c, ".scope"))
    c.len -= strlen (".scope");
  if (c.len <= 37 || c.p[36] != '.' || !bytes_is_uuid (bytes_of (c.p, 36), '-') || !is_plain (bytes_skip (c, 37))
      || !(is_below (step, "nomad") || is_below (step, "nomad.slice")) || !set_id (cg, c, "unknown"))
    return false;
  set_machine (cg, bytes_skip (c, 37));
  return true;
}

/* lxc.payload.<name> (LXC 4, LXD, Incus), lxc.payload/<name> (LXC 3.1), lxc/<name> (before, and Proxmox). */
static bool
match_lxc (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes name = step->component;

  if (bytes_has_prefix (name, "lxc.payload."))
    name = bytes_skip (name, strlen ("lxc.payload."));
  else if (!bytes_equal (step->parent, "lxc") && !bytes_equal (step->parent, "lxc.payload"))
    return false;
  if (!set_id (cg, name, "lxc"))
    return false;
  set_machine (cg, name);
  return true;
}

/* Undoes systemd's \xNN (systemd.unit(5), "String escaping"). Gives the number of bytes, 0 if they do not fit. */
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
match_machine (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component, name;
  char buf[PFS_ID_MAX];

  if (bytes_equal (step->next, "supervisor"))
    return false;
  if (bytes_has_prefix (c, "machine-") && bytes_has_suffix (c, ".scope"))
    c = bytes_of (c.p + 8, c.len - 8 - 6);
  else if (bytes_has_prefix (c, "systemd-nspawn@") && bytes_has_suffix (c, ".service") && step->next.len > 0)
    c = bytes_of (c.p + 15, c.len - 15 - 8);
  else
    return false;

  name = bytes_of (buf, unescape_unit (c, buf, sizeof buf));
  if (is_libvirt (name, "qemu-") || !set_id (cg, name, is_libvirt (name, "lxc-") ? "lxc" : "nspawn"))
    return false;
  set_machine (cg, name);
  return true;
}

/* A form is tried only if those of the rows before did not match. */
static const Runtime runtimes[] = {
  { "containerd", .prefixes = { "containerd", "nerdctl" }, .parents = { "k8s.io", "default" } },
  { "crio", .prefixes = { "crio" }, .parents = { "crio" }, .helpers = { "conmon" } },
  { "docker", .prefixes = { "docker" }, .parents = { "moby", "docker" } },
  { "podman", .prefixes = { "libpod", "libpod-payload" }, .parents = { "libpod" },
    .helpers = { "conmon", "libpod_pod_" }, .helper_parents = { "libpod_parent" }, .sandbox = "catatonit" },
  { "k8s", .match = match_k8s, .sandbox = "pause" },
  { "ecs", .above = "ecs", .match = match_ecs },
  { "garden", .parents = { "garden" }, .match = match_garden },
  { "unknown", .match = match_nomad }, /* which of Nomad's drivers it is, nothing tells */
  { "lxc", .prefixes = { "lxc", "lxc.payload" }, .parents = { "lxc", "lxc.payload" }, .helpers = { "lxc.monitor" },
    .helper_parents = { "lxc.monitor" }, .match = match_lxc },
  { "nspawn", .match = match_machine },
};

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

/* Units that carry a container's id without being in it: its mounts, its health checks (podman's
 * "<id>-<random>.service"); and the helpers of runtimes. */
static bool
is_no_container (const PfsCgroupStep *step)
{
  static const char *const unit_suffixes[] = { ".service", ".mount", ".slice", ".socket", ".swap" };
  Bytes c = step->component;

  for (size_t i = 0; i < G_N_ELEMENTS (unit_suffixes); i++)
    if (bytes_has_suffix (c, unit_suffixes[i]))
      return true;
  if (bytes_has_suffix (c, ".scope") && (bytes_has_prefix (c, "session-") || bytes_has_prefix (c, "run-")))
    return true;
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++) {
    for (const char *const *word = runtimes[i].helpers; *word; word++)
      if (bytes_contain (c, *word))
        return true;
    for (const char *const *parent = runtimes[i].helper_parents; *parent; parent++)
      if (c.len == ID_DIGITS && bytes_has_prefix (step->parent, *parent))
        return true;
  }
  return false;
}

/* Does prefix, without the separator at its end, end in the word? */
static bool
ends_in_word (Bytes prefix, const char *word)
{
  size_t n = strlen (word);

  return bytes_has_suffix (prefix, word) && (prefix.len == n || !g_ascii_isalnum (prefix.p[prefix.len - n - 1]));
}

static bool
is_of_runtime (const Runtime *runtime, const PfsCgroupStep *step, Bytes prefix)
{
  for (const char *const *word = runtime->prefixes; *word; word++)
    if (ends_in_word (prefix, *word))
      return true;
  for (const char *const *parent = runtime->parents; prefix.len == 0 && *parent; parent++)
    if (bytes_equal (step->parent, *parent))
      return true;
  return false;
}

/* By what stands before the digits ("docker-", "slice:cri-containerd:"), else by the component above. */
static const char *
runtime_of (const PfsCgroupStep *step, Bytes prefix)
{
  if (prefix.len > 0)
    prefix.len--;
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++)
    if (is_of_runtime (&runtimes[i], step, prefix))
      return runtimes[i].name;
  /* These paths do not name the runtime. */
  if (step->parent_is_pod || step->is_pod)
    return "k8s";
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes) && prefix.len == 0; i++)
    if (runtimes[i].above && is_below (step, runtimes[i].above))
      return runtimes[i].name;
  return "unknown";
}

static bool
match_digits (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;
  size_t start;

  return !is_no_container (step) && find_digits (c, &start)
         && set_id (cg, bytes_of (c.p + start, ID_DIGITS), runtime_of (step, bytes_of (c.p, start)));
}

bool
pfs_runtime_match (const PfsCgroupStep *step, PfsCgroup *ret)
{
  if (match_digits (step, ret))
    return true;
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++)
    if (runtimes[i].match && runtimes[i].match (step, ret))
      return true;
  return false;
}

bool
pfs_runtime_is_sandbox (const char *comm)
{
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++)
    if (g_strcmp0 (comm, runtimes[i].sandbox) == 0)
      return true;
  return false;
}
