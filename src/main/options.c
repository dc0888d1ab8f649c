/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <string.h>

#define DEFAULT_CACHE_SECONDS 1.0

/* What GOption fills in, beside the options themselves. */
typedef struct {
  PfsOptions *options;
  bool log_level, mount_options; /* were given */
  bool helper;                   /* called as a mount helper */
  gboolean sloppy;
  char **positional;
  char *const *rest; /* what follows the "--", borrowed; NULL: there was none */
} Raw;

void
pfs_options_free (PfsOptions *options)
{
  if (!options)
    return;
  g_free (options->proc);
  g_clear_pointer (&options->table.names, g_ptr_array_unref);
  g_free (options->table.pod);
  g_free (options->target);
  g_strfreev (options->command);
  g_free (options->mount.mountpoint);
  g_free (options->mount.fsname);
  g_free (options->mount.kernel_options);
  g_free (options);
}

static PfsOptions *
options_new (void)
{
  PfsOptions *options = g_new0 (PfsOptions, 1);
  options->timeout = -1;
  options->table.names = g_ptr_array_new_with_free_func (g_free);
  options->mount.passthrough = true;
  options->mount.sandbox = true;
  options->mount.tree.attr_timeout = DEFAULT_CACHE_SECONDS;
  options->mount.tree.entry_timeout = DEFAULT_CACHE_SECONDS;
  return options;
}

/* --- one option each, as GOptionArgFunc --- */

static gboolean
take_target (const char *option, const char *target, PfsOptions *options, GError **error)
{
  bool folder = g_str_equal (option, "--links");
  if (folder && !*target)
    return pfs_usage_error (error, "--links takes a folder");
  if (!folder && *target == '/')
    return pfs_usage_error (error, "%s takes NAME/PATH without the mountpoint: nginx/pid, not /peers/nginx/pid",
                            option);
  if (!*target)
    return pfs_usage_error (error, "%s takes the name of a container first", option);
  g_free (options->target);
  options->target = g_strdup (target);
  return TRUE;
}

/* --help counts more than --version, and that more than all others. */
static gboolean
take_action (const char *option, const char *target, gpointer data, GError **error)
{
  static const char *const actions[] = {
    [PFS_ACTION_LIST] = "--list",   [PFS_ACTION_WAIT] = "--wait",       [PFS_ACTION_AS] = "--as",
    [PFS_ACTION_LINKS] = "--links", [PFS_ACTION_VERSION] = "--version", [PFS_ACTION_HELP] = "--help",
    [PFS_ACTION_NOTHING] = "-f",
  };
  PfsOptions *options = ((Raw *) data)->options;
  PfsAction action = g_str_equal (option, "-h") ? PFS_ACTION_HELP : g_str_equal (option, "-V") ? PFS_ACTION_VERSION : 0;
  for (guint i = 1; i < G_N_ELEMENTS (actions); i++) {
    if (g_str_equal (option, actions[i]))
      action = i;
  }
  if (options->action != PFS_ACTION_MOUNT && options->action != action
      && MAX (options->action, action) < PFS_ACTION_VERSION)
    return pfs_usage_error (error, "--list, --wait, --as and --links exclude one another");
  options->action = MAX (options->action, action);
  return target ? take_target (option, target, options, error) : TRUE;
}

static gboolean
take_mount_options (const char *option, const char *list, gpointer data, GError **error)
{
  Raw *raw = data;
  (void) option;
  raw->mount_options = true;
  return pfs_mountopts_apply (raw->options, list, raw->sloppy, error);
}

static gboolean
take_timeout (const char *option, const char *seconds, gpointer data, GError **error)
{
  (void) option;
  return pfs_mountopts_seconds (seconds, &((Raw *) data)->options->timeout)
         || pfs_usage_error (error, "--timeout takes a number of seconds");
}

static gboolean
take_log_level (const char *option, const char *level, gpointer data, GError **error)
{
  static const char *const levels[] = {
    [PFS_LOG_INFO] = "info", [PFS_LOG_WARNING] = "warning", [PFS_LOG_ERROR] = "error"
  };
  Raw *raw = data;
  (void) option;
  raw->log_level = true;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    raw->options->mount.log_level = i;
    if (g_str_equal (level, levels[i]))
      return TRUE;
  }
  return pfs_usage_error (error, "--log-level takes error, warning or info");
}

static gboolean
take_name (const char *option, const char *name, gpointer data, GError **error)
{
  (void) option;
  if (!pfs_table_check_name (name))
    return pfs_usage_error (error, "--name takes ID_PREFIX=NAME, as in --name 3f2a=web");
  g_ptr_array_add (((Raw *) data)->options->table.names, g_strdup (name));
  return TRUE;
}

/* --pod POD or --node. */
static gboolean
take_scope (const char *option, const char *pod, gpointer data, GError **error)
{
  (void) option;
  return pfs_mountopts_set_scope (((Raw *) data)->options, pod, error);
}

static gboolean
ignore (const char *option, const char *value, gpointer data, GError **error)
{
  (void) option, (void) value, (void) data, (void) error;
  return TRUE;
}

/* --- all of them --- */

/* A copy of the arguments before "--", with "-oX" as "-o X": GOption does not know the first form. *ret_rest is what
 * follows the "--" (NULL: there was none). */
static char **
arguments (int argc, char *const *argv, char *const **ret_rest)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (int i = 0; i < argc; i++) {
    if (i > 0 && g_str_equal (argv[i], "--")) {
      *ret_rest = argv + i + 1;
      break;
    }
    bool attached = i > 0 && g_str_has_prefix (argv[i], "-o") && argv[i][2];
    if (attached)
      g_strv_builder_add (builder, "-o");
    g_strv_builder_add (builder, attached ? argv[i] + 2 : argv[i]);
  }
  return g_strv_builder_end (builder);
}

static bool
parse (char ***args, Raw *raw, GError **error)
{
  /* FILENAME, not STRING: arguments are bytes here, not text of the locale. */
  enum { VALUE = G_OPTION_FLAG_FILENAME, NO_VALUE = G_OPTION_FLAG_NO_ARG };
  const GOptionEntry program[] = {
    { "list", 0, NO_VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "wait", 0, VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "as", 0, VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "links", 0, VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "help", 'h', NO_VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "version", 'V', NO_VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "foreground", 'f', 0, G_OPTION_ARG_NONE, &raw->options->mount.foreground, NULL, NULL },
    { "debug", 'd', 0, G_OPTION_ARG_NONE, &raw->options->mount.debug, NULL, NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &raw->options->json, NULL, NULL },
    { "sandbox", 0, 0, G_OPTION_ARG_NONE, &raw->options->table.sandbox, NULL, NULL },
    { "unguarded", 0, 0, G_OPTION_ARG_NONE, &raw->options->unguarded, NULL, NULL },
    { "timeout", 0, VALUE, G_OPTION_ARG_CALLBACK, take_timeout, NULL, NULL },
    { "log-level", 0, VALUE, G_OPTION_ARG_CALLBACK, take_log_level, NULL, NULL },
    { "name", 0, VALUE, G_OPTION_ARG_CALLBACK, take_name, NULL, NULL },
    { "node", 0, NO_VALUE, G_OPTION_ARG_CALLBACK, take_scope, NULL, NULL },
    { "pod", 0, VALUE, G_OPTION_ARG_CALLBACK, take_scope, NULL, NULL },
    { "proc", 0, 0, G_OPTION_ARG_FILENAME, &raw->options->proc, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };
  /* mount(8): mount.<type> spec dir [-sfnv] [-N namespace] [-o options] [-t type.subtype]. mount itself does -N. */
  const GOptionEntry helper[] = {
    { "sloppy", 's', 0, G_OPTION_ARG_NONE, &raw->sloppy, NULL, NULL },
    { "fake", 'f', NO_VALUE, G_OPTION_ARG_CALLBACK, take_action, NULL, NULL },
    { "no-mtab", 'n', NO_VALUE, G_OPTION_ARG_CALLBACK, ignore, NULL, NULL },
    { "verbose", 'v', NO_VALUE, G_OPTION_ARG_CALLBACK, ignore, NULL, NULL },
    { "namespace", 'N', VALUE, G_OPTION_ARG_CALLBACK, ignore, NULL, NULL },
    { "types", 't', VALUE, G_OPTION_ARG_CALLBACK, ignore, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };
  const GOptionEntry both[] = {
    { "options", 'o', VALUE, G_OPTION_ARG_CALLBACK, take_mount_options, NULL, NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->positional, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  GOptionGroup *group = g_option_group_new ("", "", "", raw, NULL);
  g_option_group_add_entries (group, raw->helper ? helper : program);
  g_option_group_add_entries (group, both);
  g_option_context_set_main_group (context, group);
  g_option_context_set_help_enabled (context, FALSE);
  return g_option_context_parse_strv (context, args, error);
}

/* --- what goes together --- */

static bool
check_action (const Raw *raw, GError **error)
{
  PfsAction action = raw->options->action;
  bool mount = action == PFS_ACTION_MOUNT;
  if (raw->log_level && !mount)
    return pfs_usage_error (error, "--log-level goes with a MOUNTPOINT");
  if (raw->options->mount.foreground && !mount && action != PFS_ACTION_LINKS)
    return pfs_usage_error (error, "-f and -d go with a MOUNTPOINT");
  if (raw->options->unguarded && action != PFS_ACTION_AS)
    return pfs_usage_error (error, "--unguarded goes with --as");
  if (raw->options->json && mount)
    return pfs_usage_error (error, "--json goes with --list");
  if (raw->options->timeout >= 0 && mount)
    return pfs_usage_error (error, "--timeout goes with --wait");
  if (raw->options->table.scope == PFS_SCOPE_NODE && action == PFS_ACTION_LINKS)
    return pfs_usage_error (error, "--links keeps one pod's containers; give --pod NAMESPACE/POD instead of --node");
  return true;
}

/* "none" stands for no source. */
static bool
take_source (const char *source, PfsOptions *options, GError **error)
{
  if (!*source || options->mount.fsname || g_str_equal (source, "none"))
    return true;
  if (strpbrk (source, ",\\"))
    return pfs_usage_error (error, "a source has no comma and no backslash");
  options->mount.fsname = g_strdup (source);
  return true;
}

/* Takes MOUNTPOINT, or SOURCE MOUNTPOINT as mount.fuse3 calls us, also behind a "--". */
static bool
take_mountpoint (const Raw *raw, GError **error)
{
  static const char *const commands[] = { "list", "wait", "as", "links", "help", "version", NULL };
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  for (char *const *word = raw->positional; word && *word; word++)
    g_ptr_array_add (words, *word);
  for (char *const *word = raw->rest; word && *word; word++)
    g_ptr_array_add (words, *word);
  if (words->len > 2)
    return pfs_usage_error (error, "too many arguments, one MOUNTPOINT is enough");
  if (words->len == 0 || !*(char *) words->pdata[words->len - 1])
    return pfs_usage_error (error, "no MOUNTPOINT given");
  const char *first = words->pdata[0], *last = words->pdata[words->len - 1];
  if (g_strv_contains (commands, first))
    return pfs_usage_error (error, "'%s' would be a folder here; write --%s, or ./%s for one of that name", first,
                            first, first);
  /* mount.fuse3 always adds "-o". */
  if (first != last && *first == '/' && *last == '/' && !raw->mount_options && !raw->helper)
    return pfs_usage_error (error, "two folders given, one MOUNTPOINT is enough");
  raw->options->mount.mountpoint = g_strdup (last);
  return first == last || take_source (first, raw->options, error);
}

static bool
take_operands (const Raw *raw, GError **error)
{
  bool rest = raw->rest && *raw->rest, extra = raw->positional || rest;
  switch (raw->options->action) {
  case PFS_ACTION_MOUNT:
    return take_mountpoint (raw, error);
  case PFS_ACTION_AS:
    if (raw->positional || !rest)
      return pfs_usage_error (error, "--as NAME is followed by -- and the command to run");
    raw->options->command = g_strdupv ((char **) raw->rest);
    return true;
  case PFS_ACTION_WAIT:
    return extra ? pfs_usage_error (error, "--wait takes one NAME[/PATH] and no MOUNTPOINT") : true;
  case PFS_ACTION_LINKS:
    return extra ? pfs_usage_error (error, "--links takes one folder and no MOUNTPOINT") : true;
  case PFS_ACTION_LIST:
    return extra ? pfs_usage_error (error, "--list takes no MOUNTPOINT") : true;
  default:
    return true;
  }
}

static bool
finish (const Raw *raw, GError **error)
{
  PfsOptions *options = raw->options;
  options->mount.foreground |= options->mount.debug;
  if (options->action < PFS_ACTION_VERSION && (!check_action (raw, error) || !take_operands (raw, error)))
    return false;
  if (!options->proc)
    options->proc = g_strdup ("/proc");
  if (!*options->proc)
    return pfs_usage_error (error, "--proc takes a directory");
  return true;
}

PfsOptions *
pfs_options_parse (int argc, char *const *argv, GError **error)
{
  g_autofree char *program = argc > 0 ? g_path_get_basename (argv[0]) : g_strdup ("peerfs");
  g_autoptr (PfsOptions) options = options_new ();
  Raw raw = { .options = options, .helper = g_str_has_prefix (program, "mount.") };
  g_auto (GStrv) args = arguments (argc, argv, &raw.rest);
  bool ok = parse (&args, &raw, error) && finish (&raw, error);
  g_strfreev (raw.positional);
  return ok ? g_steal_pointer (&options) : NULL;
}
