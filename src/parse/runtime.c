/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Container runtimes: how each spells the cgroups of its containers and of its own helpers. A new runtime is a row of
 * the table; a form that its words cannot say is a function beside it. */
#include "runtime.h"

#include "text.h"

#define ID_DIGITS 64
#define ALNUM G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS

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

static bool
set_id (PfsCgroup *cg, const char *id, const char *runtime)
{
  bool plain = g_ascii_isalnum (*id) && !id[strspn (id, ALNUM "_.-+@")]; /* may be a file name and be printed */

  cg->machine[0] = '\0';
  g_strlcpy (cg->runtime, runtime, sizeof cg->runtime);
  return plain && g_strlcpy (cg->id, id, sizeof cg->id) < sizeof cg->id;
}

static bool
set_machine (PfsCgroup *cg, const char *name, const char *runtime)
{
  if (!set_id (cg, name, runtime))
    return false;
  if (strlen (name) < sizeof cg->machine)
    g_strlcpy (cg->machine, name, sizeof cg->machine);
  return true;
}

/* Is one of the cgroups above called so? */
static bool
is_below (const PfsCgroupStep *step, const char *name)
{
  for (char **above = step->path; above < step->component; above++)
    if (g_str_equal (*above, name))
      return true;
  return false;
}

/* The name without what it begins and ends with (g_free); NULL if it does not. */
static char *
strip (const char *name, const char *prefix, const char *suffix)
{
  size_t around = strlen (prefix) + strlen (suffix), len = strlen (name);

  if (len < around || !g_str_has_prefix (name, prefix) || !g_str_has_suffix (name, suffix))
    return NULL;
  return g_strndup (name + strlen (prefix), len - around);
}

static bool
match_k8s (const PfsCgroupStep *step, PfsCgroup *cg)
{
  return step->parent_is_pod && text_is_uuid (step->name) && set_id (cg, step->name, "k8s");
}

/* Fargate: ecs/<task, 32 hex>/<the same 32 hex>-<decimal>. */
static bool
match_ecs (const PfsCgroupStep *step, PfsCgroup *cg)
{
  const char *name = step->name;
  guint64 number;

  return strspn (name, HEX_DIGITS) == 32 && name[32] == '-' && strlen (name) <= 44
         && g_ascii_string_to_unsigned (name + 33, 10, 0, G_MAXUINT64, &number, NULL) && is_below (step, "ecs")
         && set_id (cg, name, "ecs");
}

/* Garden's handles are UUIDs, whose last group Cloud Foundry cuts to four digits; garden/{good,bad}/ with its CPU
 * entitlement. */
static bool
match_garden (const PfsCgroupStep *step, PfsCgroup *cg)
{
  static const char *const parents[] = { "garden", "good", "bad", NULL };
  static const char zeros[] = "00000000-0000-0000-0000-000000000000";
  size_t len = strlen (step->name);

  if (!g_strv_contains (parents, step->parent) || len < 28 || len >= sizeof zeros)
    return false;
  g_autofree char *uuid = g_strconcat (step->name, zeros + len, NULL);
  return text_is_uuid (uuid) && set_id (cg, step->name, "garden");
}

/* Nomad without Docker: nomad.slice/share.slice/<allocation>.<task>.scope, or nomad/<allocation>.<task>. */
static bool
match_nomad (const PfsCgroupStep *step, PfsCgroup *cg)
{
  g_autofree char *scope = strip (step->name, "", ".scope");
  const char *name = scope ? scope : step->name;
  g_autofree char *allocation = g_strndup (name, 36);

  if (!text_is_uuid (allocation) || name[36] != '.' || !(is_below (step, "nomad") || is_below (step, "nomad.slice"))
      || !set_machine (cg, name + 37, "unknown"))
    return false;
  return g_strlcpy (cg->id, name, sizeof cg->id) < sizeof cg->id;
}

/* lxc.payload.<name> (LXC 4, LXD, Incus), lxc.payload/<name> (LXC 3.1), lxc/<name> (before, and Proxmox). */
static bool
match_lxc (const PfsCgroupStep *step, PfsCgroup *cg)
{
  g_autofree char *payload = strip (step->name, "lxc.payload.", "");

  if (payload)
    return set_machine (cg, payload, "lxc");
  return (g_str_equal (step->parent, "lxc") || g_str_equal (step->parent, "lxc.payload"))
         && set_machine (cg, step->name, "lxc");
}

/* Undoes systemd's \xNN (systemd.unit(5), "String escaping"). */
static char *
unescape_unit (const char *unit)
{
  g_autoptr (GString) name = g_string_new (NULL);
  guint64 byte;

  for (const char *p = unit; *p; p++) {
    g_autofree char *digits = g_str_has_prefix (p, "\\x") ? g_strndup (p + 2, 2) : NULL;
    bool escaped = digits && strlen (digits) == 2 && g_ascii_string_to_unsigned (digits, 16, 1, 255, &byte, NULL);
    g_string_append_c (name, escaped ? (char) byte : *p);
    p += escaped ? 3 : 0;
  }
  return g_string_free (g_steal_pointer (&name), FALSE);
}

/* libvirt registers its machines as "<driver>-<number>-<name>". */
static bool
is_libvirt (const char *name, const char *driver)
{
  return g_str_has_prefix (name, driver) && g_ascii_isdigit (name[strlen (driver)]);
}

/* machine-<name>.scope of systemd-machined, systemd-nspawn@<name>.service of the template unit. Below them, nspawn
 * itself is in "supervisor", the container in "payload"; only nspawn can be in the service's own cgroup. */
static bool
match_machine (const PfsCgroupStep *step, PfsCgroup *cg)
{
  g_autofree char *scope = strip (step->name, "machine-", ".scope");
  g_autofree char *service = *step->next ? strip (step->name, "systemd-nspawn@", ".service") : NULL;

  if ((!scope && !service) || g_str_equal (step->next, "supervisor"))
    return false;
  g_autofree char *name = unescape_unit (scope ? scope : service);
  return !is_libvirt (name, "qemu-") && set_machine (cg, name, is_libvirt (name, "lxc-") ? "lxc" : "nspawn");
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

/* The last run of exactly 64 lower-case hex digits that no letter or digit touches; NULL if there is none. */
static const char *
find_digits (const char *name)
{
  const char *found = NULL;

  for (size_t len; *name; name += MAX (len, 1)) {
    len = strspn (name, ALNUM);
    if (len == ID_DIGITS && strspn (name, HEX_DIGITS) == ID_DIGITS)
      found = name;
  }
  return found;
}

/* Units that carry a container's id without being in it: its mounts, its health checks (podman's
 * "<id>-<random>.service"); and the helpers of runtimes. */
static bool
is_no_container (const PfsCgroupStep *step)
{
  static const char *const unit_suffixes[] = { ".service", ".mount", ".slice", ".socket", ".swap" };
  const char *name = step->name;

  for (size_t i = 0; i < G_N_ELEMENTS (unit_suffixes); i++)
    if (g_str_has_suffix (name, unit_suffixes[i]))
      return true;
  if (g_str_has_suffix (name, ".scope") && (g_str_has_prefix (name, "session-") || g_str_has_prefix (name, "run-")))
    return true;
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++) {
    for (const char *const *word = runtimes[i].helpers; *word; word++)
      if (strstr (name, *word))
        return true;
    for (const char *const *parent = runtimes[i].helper_parents; *parent; parent++)
      if (strlen (name) == ID_DIGITS && g_str_has_prefix (step->parent, *parent))
        return true;
  }
  return false;
}

/* Does prefix, without the separator at its end, end in the word? */
static bool
ends_in_word (const char *prefix, const char *word)
{
  size_t len = strlen (prefix), n = strlen (word);

  return g_str_has_suffix (prefix, word) && (len == n || !g_ascii_isalnum (prefix[len - n - 1]));
}

static bool
is_of_runtime (const Runtime *runtime, const PfsCgroupStep *step, const char *prefix)
{
  for (const char *const *word = runtime->prefixes; *word; word++)
    if (ends_in_word (prefix, *word))
      return true;
  return !*prefix && g_strv_contains (runtime->parents, step->parent);
}

/* By what stands before the digits ("docker-", "slice:cri-containerd:"), else by the component above. */
static const char *
runtime_of (const PfsCgroupStep *step, const char *prefix)
{
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes); i++)
    if (is_of_runtime (&runtimes[i], step, prefix))
      return runtimes[i].name;
  /* These paths do not name the runtime. */
  if (step->parent_is_pod || step->is_pod)
    return "k8s";
  for (size_t i = 0; i < G_N_ELEMENTS (runtimes) && !*prefix; i++)
    if (runtimes[i].above && is_below (step, runtimes[i].above))
      return runtimes[i].name;
  return "unknown";
}

static bool
match_digits (const PfsCgroupStep *step, PfsCgroup *cg)
{
  const char *digits = is_no_container (step) ? NULL : find_digits (step->name);

  if (!digits)
    return false;
  g_autofree char *id = g_strndup (digits, ID_DIGITS);
  g_autofree char *prefix = g_strndup (step->name, (gsize) MAX (digits - step->name - 1, 0));
  return set_id (cg, id, runtime_of (step, prefix));
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
