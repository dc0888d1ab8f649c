/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Container runtimes: how each spells the cgroups of its containers and of its own helpers. A new runtime is a row of
 * the table; a form that its words cannot say is a function beside it. */
#include "runtime.h"

#include <glib.h>

#define ID_DIGITS 64

/* An id of 64 digits is of the runtime by the last word before it ("docker-<id>.scope"); if nothing stands before it,
 * by the cgroup above ("moby/<id>"). */
static const struct {
  const char *runtime, *prefix, *parent;
} words[] = {
  { "containerd", "containerd", "k8s.io" }, { "containerd", "nerdctl", "default" }, { "crio", "crio", "crio" },
  { "docker", "docker", "docker" },         { "docker", "docker", "moby" },         { "podman", "libpod", "libpod" },
  { "podman", "libpod-payload", "libpod" }, { "garden", "garden", "garden" },       { "lxc", "lxc", "lxc" },
  { "lxc", "lxc.payload", "lxc.payload" },
};

static const Bytes no_machine = { "", 0 };

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
set_id (PfsCgroup *cg, Bytes b, Bytes machine, const char *runtime)
{
  if (b.len >= sizeof cg->id || !is_plain (b))
    return false;
  memset (cg, 0, sizeof *cg);
  memcpy (cg->id, b.p, b.len);
  if (machine.len < sizeof cg->machine)
    memcpy (cg->machine, machine.p, machine.len);
  g_strlcpy (cg->runtime, runtime, sizeof cg->runtime);
  return true;
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
  return step->parent_is_pod && bytes_is_uuid (step->component, '-') && set_id (cg, step->component, no_machine, "k8s");
}

/* Fargate: ecs/<task, 32 hex>/<the same 32 hex>-<decimal>. */
static bool
match_ecs (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;
  uint64_t number;

  return c.len > 33 && c.len <= 44 && c.p[32] == '-' && bytes_is_hex (bytes_of (c.p, 32))
         && bytes_to_number (bytes_skip (c, 33), 10, UINT64_MAX, &number) && is_below (step, "ecs")
         && set_id (cg, c, no_machine, "ecs");
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
  return bytes_is_uuid (bytes_of (uuid, sizeof uuid), '-') && set_id (cg, c, no_machine, "garden");
}

/* Nomad without Docker: nomad.slice/share.slice/<allocation>.<task>.scope, or nomad/<allocation>.<task>. */
static bool
match_nomad (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;

  if (bytes_has_suffix (c, ".scope"))
    c.len -= strlen (".scope");
  return c.len > 37 && c.p[36] == '.' && bytes_is_uuid (bytes_of (c.p, 36), '-') && is_plain (bytes_skip (c, 37))
         && (is_below (step, "nomad") || is_below (step, "nomad.slice"))
         && set_id (cg, c, bytes_skip (c, 37), "unknown");
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
  return set_id (cg, name, name, "lxc");
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
  return !is_libvirt (name, "qemu-") && set_id (cg, name, name, is_libvirt (name, "lxc-") ? "lxc" : "nspawn");
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

static bool
is_any (Bytes b, bool (*fits) (Bytes b, const char *s), const char *const *all)
{
  while (*all && !fits (b, *all))
    all++;
  return *all;
}

/* Units that carry a container's id without being in it: its mounts, its health checks (podman's
 * "<id>-<random>.service"); and the processes and pods of runtimes. */
static bool
is_no_container (const PfsCgroupStep *step)
{
  static const char *const suffixes[] = { ".service", ".mount", ".slice", ".socket", ".swap", NULL };
  static const char *const scopes[] = { "session-", "run-", NULL };
  static const char *const helpers[] = { "conmon", "libpod_pod_", "lxc.monitor", NULL };
  static const char *const helper_parents[] = { "libpod_parent", "lxc.monitor", NULL };
  Bytes c = step->component;

  return is_any (c, bytes_has_suffix, suffixes) || is_any (c, bytes_contain, helpers)
         || (bytes_has_suffix (c, ".scope") && is_any (c, bytes_has_prefix, scopes))
         || (c.len == ID_DIGITS && is_any (step->parent, bytes_has_prefix, helper_parents));
}

/* Does prefix, without the separator at its end, end in the word? */
static bool
ends_in_word (Bytes prefix, const char *word)
{
  size_t n = strlen (word);

  return bytes_has_suffix (prefix, word) && (prefix.len == n || !g_ascii_isalnum (prefix.p[prefix.len - n - 1]));
}

static const char *
runtime_of (const PfsCgroupStep *step, Bytes prefix)
{
  if (prefix.len > 0)
    prefix.len--;
  bool alone = prefix.len == 0;
  for (size_t i = 0; i < G_N_ELEMENTS (words); i++)
    if (alone ? bytes_equal (step->parent, words[i].parent) : ends_in_word (prefix, words[i].prefix))
      return words[i].runtime;
  /* These paths do not name the runtime. */
  if (step->parent_is_pod || step->is_pod)
    return "k8s";
  return alone && is_below (step, "ecs") ? "ecs" : "unknown";
}

static bool
match_digits (const PfsCgroupStep *step, PfsCgroup *cg)
{
  Bytes c = step->component;
  size_t start;

  return !is_no_container (step) && find_digits (c, &start)
         && set_id (cg, bytes_of (c.p + start, ID_DIGITS), no_machine, runtime_of (step, bytes_of (c.p, start)));
}

bool
pfs_runtime_match (const PfsCgroupStep *step, PfsCgroup *ret)
{
  return match_digits (step, ret) || match_k8s (step, ret) || match_ecs (step, ret) || match_garden (step, ret)
         || match_nomad (step, ret) || match_lxc (step, ret) || match_machine (step, ret);
}
