/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mountopts.h"

#include <math.h>
#include <string.h>

/* The longest time-out that still fits the kernel's 64-bit jiffies with ease. */
#define TIMEOUT_MAX (365.0 * 24 * 60 * 60)

/* Options of mount(8) and fstab(5) that change nothing here. Some say what is always so (a peer's devices and setuid
 * files are never honoured), the others are for other programs. */
static const char *const ignored[] = {
  "dev",         "nodev",
  "suid",        "nosuid",
  "relatime",    "norelatime",
  "strictatime", "nostrictatime",
  "lazytime",    "nolazytime",
  "auto",        "noauto",
  "user",        "nouser",
  "users",       "nousers",
  "owner",       "noowner",
  "group",       "nogroup",
  "nofail",      "_netdev",
  "defaults",    "loud",
  "silent",      "default_permissions",
};
static const char *const ignored_prefixes[] = { "x-", "X-", "comment=", "user=", "helper=", "uhelper=" };

/* Options that the kernel's mount takes, and the word that undoes each. */
static const struct {
  const char *on, *off;
} kernel_options[] = {
  { "ro", "rw" },      { "noexec", "exec" }, { "noatime", "atime" }, { "nodiratime", "diratime" },
  { "sync", "async" }, { "dirsync", NULL },
};

static bool
bad_value (const char *option, const char *wanted, GError **error)
{
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-o %s takes %s", option, wanted);
  return false;
}

static bool
parse_switch (const char *option, const char *value, bool *ret, GError **error)
{
  if (!value || g_str_equal (value, "on"))
    *ret = true;
  else if (g_str_equal (value, "off"))
    *ret = false;
  else
    return bad_value (option, "on or off", error);
  return true;
}

static bool
parse_choice (const char *option, const char *value, const char *no, const char *yes, bool *ret, GError **error)
{
  if (value && g_str_equal (value, yes))
    *ret = true;
  else if (value && g_str_equal (value, no))
    *ret = false;
  else {
    g_autofree char *wanted = g_strdup_printf ("%s or %s", no, yes);
    return bad_value (option, wanted, error);
  }
  return true;
}

static bool
parse_seconds (const char *option, const char *value, double *ret, GError **error)
{
  char *end = NULL;
  double seconds = value ? g_ascii_strtod (value, &end) : -1;
  if (!value || end == value || *end || !isfinite (seconds) || seconds < 0 || seconds > TIMEOUT_MAX)
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
  g_free (options->fsname);
  options->fsname = g_strdup (value);
  return true;
}

/* Returns true if the option is one of peerfs's own; then *ret_ok tells if its value is right. */
static bool
apply_own (PfsOptions *options, const char *name, const char *value, bool *ret_ok, GError **error)
{
  PfsMountOptions *mount = &options->mount;
  if (g_str_equal (name, "allow_other"))
    *ret_ok = parse_switch (name, value, &mount->allow_other, error);
  else if (g_str_equal (name, "nonempty"))
    *ret_ok = parse_switch (name, value, &mount->nonempty, error);
  else if (g_str_equal (name, "passthrough"))
    *ret_ok = parse_switch (name, value, &mount->passthrough, error);
  else if (g_str_equal (name, "sandbox"))
    *ret_ok = parse_switch (name, value, &mount->sandbox, error);
  else if (g_str_equal (name, "nopassthrough") && !value)
    mount->passthrough = false, *ret_ok = true;
  else if (g_str_equal (name, "nosandbox") && !value)
    mount->sandbox = false, *ret_ok = true;
  else if (g_str_equal (name, "symlinks"))
    *ret_ok = parse_choice (name, value, "contained", "raw", &mount->tree.raw_symlinks, error);
  else if (g_str_equal (name, "special"))
    *ret_ok = parse_choice (name, value, "link", "node", &mount->tree.special_nodes, error);
  else if (g_str_equal (name, "attr_timeout"))
    *ret_ok = parse_seconds (name, value, &mount->tree.attr_timeout, error);
  else if (g_str_equal (name, "entry_timeout"))
    *ret_ok = parse_seconds (name, value, &mount->tree.entry_timeout, error);
  else if (g_str_equal (name, "name"))
    *ret_ok = add_name (options, value, error);
  else if (g_str_equal (name, "node") && !value)
    *ret_ok = pfs_options_set_scope (options, NULL, error);
  else if (g_str_equal (name, "pod"))
    *ret_ok = pfs_options_set_scope (options, value ? value : "", error);
  else if (g_str_equal (name, "fsname"))
    *ret_ok = set_fsname (options, value, error);
  else
    return false;
  return true;
}

static void
kernel_option_set (PfsOptions *options, const char *word, bool on)
{
  g_auto (GStrv) before = g_strsplit (options->kernel_options ? options->kernel_options : "", ",", -1);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (char **w = before; *w; w++) {
    if (**w && !g_str_equal (*w, word))
      g_strv_builder_add (builder, *w);
  }
  if (on)
    g_strv_builder_add (builder, word);
  g_auto (GStrv) after = g_strv_builder_end (builder);
  g_free (options->kernel_options);
  options->kernel_options = *after ? g_strjoinv (",", after) : NULL;
}

static bool
apply_kernel (PfsOptions *options, const char *option)
{
  for (size_t i = 0; i < G_N_ELEMENTS (kernel_options); i++) {
    bool on = g_str_equal (option, kernel_options[i].on);
    if (!on && g_strcmp0 (option, kernel_options[i].off) != 0)
      continue;
    kernel_option_set (options, kernel_options[i].on, on);
    if (g_str_equal (kernel_options[i].on, "ro"))
      options->mount.tree.read_only = on;
    return true;
  }
  return false;
}

static bool
is_ignored (const char *option)
{
  for (size_t i = 0; i < G_N_ELEMENTS (ignored); i++) {
    if (g_str_equal (option, ignored[i]))
      return true;
  }
  for (size_t i = 0; i < G_N_ELEMENTS (ignored_prefixes); i++) {
    if (g_str_has_prefix (option, ignored_prefixes[i]))
      return true;
  }
  return false;
}

static bool
apply_one (PfsOptions *options, const char *option, bool sloppy, GError **error)
{
  const char *equals = strchr (option, '=');
  g_autofree char *name = equals ? g_strndup (option, (gsize) (equals - option)) : g_strdup (option);
  bool ok = true;
  if (apply_own (options, name, equals ? equals + 1 : NULL, &ok, error))
    return ok;
  if (apply_kernel (options, option) || is_ignored (option) || sloppy)
    return true;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "unknown mount option '%s'", option);
  return false;
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
