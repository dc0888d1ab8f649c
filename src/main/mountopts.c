/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "peerfs/parse/kubelet.h"

/* The longest time-out that still fits the kernel's 64-bit jiffies with ease. */
#define SECONDS_MAX (365.0 * 24 * 60 * 60)

/* Options of mount(8) and fstab(5) that change nothing here. Some say what is always so (a peer's devices and setuid
 * files are never honoured), the others are for other programs. */
static const char *const ignored[] = { "dev",         "nodev",
                                       "suid",        "nosuid",
                                       "relatime",    "norelatime",
                                       "strictatime", "nostrictatime",
                                       "lazytime",    "auto",
                                       "nolazytime",  "noauto",
                                       "user",        "nouser",
                                       "users",       "nousers",
                                       "owner",       "group",
                                       "noowner",     "nogroup",
                                       "nofail",      "_netdev",
                                       "defaults",    "loud",
                                       "silent",      "default_permissions",
                                       NULL };
static const char *const ignored_prefixes[] = { "x-", "X-", "comment=", "user=", "helper=", "uhelper=" };

/* Options that the kernel's mount takes, and the word that undoes each; "ro" is the first. */
static const struct {
  const char *on, *off;
} kernel_options[] = {
  { "ro", "rw" },      { "noexec", "exec" }, { "noatime", "atime" }, { "nodiratime", "diratime" },
  { "sync", "async" }, { "dirsync", NULL },
};

/* peerfs's own options that have two values. */
static const struct {
  const char *name;
  size_t offset; /* of a bool in PfsOptions */
  const char *first, *second;
  bool is_first; /* what the bool is with the first one. If true, the option alone means that, and "no<option>" the
                  * other */
} choices[] = {
  { "allow_other", offsetof (PfsOptions, mount.allow_other), "on", "off", true },
  { "nonempty", offsetof (PfsOptions, mount.nonempty), "on", "off", true },
  { "passthrough", offsetof (PfsOptions, mount.passthrough), "on", "off", true },
  { "sandbox", offsetof (PfsOptions, mount.sandbox), "on", "off", true },
  { "symlinks", offsetof (PfsOptions, mount.tree.raw_symlinks), "contained", "raw", false },
  { "special", offsetof (PfsOptions, mount.tree.special_nodes), "link", "node", false },
};

bool
pfs_usage_error (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_propagate_error (error, g_error_new_valist (G_OPTION_ERROR, G_OPTION_ERROR_FAILED, format, args));
  va_end (args);
  return false;
}

static bool
bad_value (const char *option, const char *wanted, GError **error)
{
  return pfs_usage_error (error, "-o %s takes %s", option, wanted);
}

bool
pfs_mountopts_seconds (const char *value, double *ret)
{
  char *end = NULL;
  double seconds = g_ascii_strtod (value, &end);
  if (end == value || *end || !isfinite (seconds) || seconds < 0)
    return false;
  *ret = seconds;
  return true;
}

static bool
set_timeout (const char *option, const char *value, double *ret, GError **error)
{
  double seconds;
  if (!value || !pfs_mountopts_seconds (value, &seconds) || seconds > SECONDS_MAX)
    return bad_value (option, "a number of seconds", error);
  *ret = seconds;
  return true;
}

static bool
add_name (PfsOptions *options, const char *value, GError **error)
{
  if (!value || !pfs_table_check_name (value))
    return bad_value ("name", "ID_PREFIX=NAME, as in name=3f2a=web", error);
  g_ptr_array_add (options->table.names, g_strdup (value));
  return true;
}

/* It becomes part of an option string, in which these would begin another option. */
static bool
set_fsname (PfsOptions *options, const char *value, GError **error)
{
  if (!value || !*value || strpbrk (value, ",\\"))
    return bad_value ("fsname", "a name without comma and backslash", error);
  g_free (options->mount.fsname);
  options->mount.fsname = g_strdup (value);
  return true;
}

/* A uid, or two names with a '/' between. */
static bool
is_pod (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", -1);
  return pfs_is_pod_uid (text) || (g_strv_length (parts) == 2 && *parts[0] && *parts[1]);
}

bool
pfs_mountopts_set_scope (PfsOptions *options, const char *pod, GError **error)
{
  PfsScope scope = pod ? PFS_SCOPE_POD : PFS_SCOPE_NODE;
  bool other = options->table.scope != PFS_SCOPE_OWN
               && (options->table.scope != scope || g_strcmp0 (options->table.pod, pod) != 0);

  if (pod && !is_pod (pod))
    return pfs_usage_error (error, "--pod takes NAMESPACE/POD, or the uid of a pod");
  if (other)
    return pfs_usage_error (error, "--node and --pod exclude one another, and one --pod is enough");
  options->table.scope = scope;
  g_free (options->table.pod);
  options->table.pod = g_strdup (pod);
  return true;
}

/* The next two return true if the option is theirs; then *ret_ok tells if its value is right. */
static bool
apply_choice (PfsOptions *options, const char *name, const char *value, bool *ret_ok, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (choices); i++) {
    bool negated = choices[i].is_first && !value && g_str_has_prefix (name, "no")
                   && g_str_equal (name + 2, choices[i].name);
    if (!negated && !g_str_equal (name, choices[i].name))
      continue;
    const char *chosen = value ? value : negated ? choices[i].second : choices[i].is_first ? choices[i].first : "";
    bool first = g_str_equal (chosen, choices[i].first);
    *ret_ok = first || g_str_equal (chosen, choices[i].second)
              || pfs_usage_error (error, "-o %s takes %s or %s", name, choices[i].first, choices[i].second);
    G_STRUCT_MEMBER (bool, options, choices[i].offset) = first == choices[i].is_first;
    return true;
  }
  return false;
}

static bool
apply_value (PfsOptions *options, const char *name, const char *value, bool *ret_ok, GError **error)
{
  if (g_str_equal (name, "attr_timeout"))
    *ret_ok = set_timeout (name, value, &options->mount.tree.attr_timeout, error);
  else if (g_str_equal (name, "entry_timeout"))
    *ret_ok = set_timeout (name, value, &options->mount.tree.entry_timeout, error);
  else if (g_str_equal (name, "name"))
    *ret_ok = add_name (options, value, error);
  else if (g_str_equal (name, "node") && !value)
    *ret_ok = pfs_mountopts_set_scope (options, NULL, error);
  else if (g_str_equal (name, "pod"))
    *ret_ok = pfs_mountopts_set_scope (options, value ? value : "", error);
  else if (g_str_equal (name, "fsname"))
    *ret_ok = set_fsname (options, value, error);
  else
    return false;
  return true;
}

static void
write_kernel_options (PfsOptions *options)
{
  g_autoptr (GString) list = g_string_new (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kernel_options); i++) {
    if (options->kernel & (1u << i))
      g_string_append_printf (list, "%s%s", list->len ? "," : "", kernel_options[i].on);
  }
  g_free (options->mount.kernel_options);
  options->mount.kernel_options = list->len ? g_strdup (list->str) : NULL;
}

static bool
apply_kernel (PfsOptions *options, const char *option)
{
  for (guint i = 0; i < G_N_ELEMENTS (kernel_options); i++) {
    bool on = g_str_equal (option, kernel_options[i].on);
    if (!on && g_strcmp0 (option, kernel_options[i].off) != 0)
      continue;
    options->kernel = on ? options->kernel | (1u << i) : options->kernel & ~(1u << i);
    options->mount.tree.read_only = options->kernel & 1;
    write_kernel_options (options);
    return true;
  }
  return false;
}

static bool
is_ignored (const char *option)
{
  for (size_t i = 0; i < G_N_ELEMENTS (ignored_prefixes); i++) {
    if (g_str_has_prefix (option, ignored_prefixes[i]))
      return true;
  }
  return g_strv_contains (ignored, option);
}

static bool
apply_one (PfsOptions *options, const char *option, bool sloppy, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (option, "=", 2);
  bool ok = true;
  if (apply_choice (options, parts[0], parts[1], &ok, error) || apply_value (options, parts[0], parts[1], &ok, error))
    return ok;
  if (apply_kernel (options, option) || is_ignored (option) || sloppy)
    return true;
  return pfs_usage_error (error, "unknown mount option '%s'", option);
}

bool
pfs_mountopts_apply (PfsOptions *options, const char *list, bool sloppy, GError **error)
{
  g_autoptr (GString) option = g_string_new (NULL);
  for (const char *p = list;; p++) {
    if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
      g_string_append_c (option, *++p);
    else if (*p && *p != ',')
      g_string_append_c (option, *p);
    else {
      if (option->len && !apply_one (options, option->str, sloppy, error))
        return false;
      g_string_truncate (option, 0);
      if (!*p)
        return true;
    }
  }
}
