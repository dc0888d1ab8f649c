/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <math.h>
#include <string.h>

#include "mountopts.h"

#define DEFAULT_CACHE_SECONDS 1.0

/* The values as GOption fills them in, before they are checked. */
typedef struct {
  gboolean foreground, debug, list, json, sandbox, node, unguarded, help, version;
  gboolean helper, fake, sloppy, verbose, no_mtab; /* a mount helper's */
  char *wait, *as, *links, *pod, *timeout, *proc, *log_level;
  char *namespace, *type; /* a mount helper's */
  char **mount_options, **names, **positional;
} Raw;

static void
raw_clear (Raw *raw)
{
  g_free (raw->wait);
  g_free (raw->as);
  g_free (raw->links);
  g_free (raw->pod);
  g_free (raw->timeout);
  g_free (raw->proc);
  g_free (raw->log_level);
  g_free (raw->namespace);
  g_free (raw->type);
  g_strfreev (raw->mount_options);
  g_strfreev (raw->names);
  g_strfreev (raw->positional);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Raw, raw_clear)

static bool
usage_error (GError **error, const char *message)
{
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s", message);
  return false;
}

void
pfs_options_free (PfsOptions *options)
{
  if (!options)
    return;
  g_free (options->proc);
  g_clear_pointer (&options->table.names, g_ptr_array_unref);
  g_free (options->pod);
  g_free (options->target);
  g_strfreev (options->command);
  g_free (options->mountpoint);
  g_free (options->fsname);
  g_free (options->kernel_options);
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

/* A copy of the arguments before "--", with "-oX" as "-o X": GOption does not know the first form. *ret_rest is what
 * follows the "--" (NULL: there was none). */
static char **
arguments (int argc, char *const *argv, char *const **ret_rest)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  *ret_rest = NULL;
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
parse_raw (char **args, const GOptionEntry *entries, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_add_main_entries (context, entries, NULL);
  /* GOption moves the pointers about and frees none: a strv would lose those that it takes out. */
  g_autofree char **shuffled = g_new0 (char *, g_strv_length (args) + 1);
  memcpy (shuffled, args, g_strv_length (args) * sizeof *args);
  int argc = (int) g_strv_length (args);
  char **argv = shuffled;
  return g_option_context_parse (context, &argc, &argv, error);
}

static bool
parse_program (char **args, Raw *raw, GError **error)
{
  /* FILENAME, not STRING: arguments are bytes here, not text of the locale. */
  const GOptionEntry entries[] = {
    { "foreground", 'f', 0, G_OPTION_ARG_NONE, &raw->foreground, NULL, NULL },
    { "debug", 'd', 0, G_OPTION_ARG_NONE, &raw->debug, NULL, NULL },
    { "options", 'o', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->mount_options, NULL, NULL },
    { "list", 0, 0, G_OPTION_ARG_NONE, &raw->list, NULL, NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &raw->json, NULL, NULL },
    { "wait", 0, 0, G_OPTION_ARG_FILENAME, &raw->wait, NULL, NULL },
    { "timeout", 0, 0, G_OPTION_ARG_FILENAME, &raw->timeout, NULL, NULL },
    { "as", 0, 0, G_OPTION_ARG_FILENAME, &raw->as, NULL, NULL },
    { "unguarded", 0, 0, G_OPTION_ARG_NONE, &raw->unguarded, NULL, NULL },
    { "links", 0, 0, G_OPTION_ARG_FILENAME, &raw->links, NULL, NULL },
    { "node", 0, 0, G_OPTION_ARG_NONE, &raw->node, NULL, NULL },
    { "pod", 0, 0, G_OPTION_ARG_FILENAME, &raw->pod, NULL, NULL },
    { "proc", 0, 0, G_OPTION_ARG_FILENAME, &raw->proc, NULL, NULL },
    { "log-level", 0, 0, G_OPTION_ARG_FILENAME, &raw->log_level, NULL, NULL },
    { "name", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->names, NULL, NULL },
    { "sandbox", 0, 0, G_OPTION_ARG_NONE, &raw->sandbox, NULL, NULL },
    { "help", 'h', 0, G_OPTION_ARG_NONE, &raw->help, NULL, NULL },
    { "version", 'V', 0, G_OPTION_ARG_NONE, &raw->version, NULL, NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->positional, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };
  return parse_raw (args, entries, error);
}

/* mount(8): mount.<type> spec dir [-sfnv] [-N namespace] [-o options] [-t type.subtype]. mount itself does -N. */
static bool
parse_helper (char **args, Raw *raw, GError **error)
{
  const GOptionEntry entries[] = {
    { "sloppy", 's', 0, G_OPTION_ARG_NONE, &raw->sloppy, NULL, NULL },
    { "fake", 'f', 0, G_OPTION_ARG_NONE, &raw->fake, NULL, NULL },
    { "no-mtab", 'n', 0, G_OPTION_ARG_NONE, &raw->no_mtab, NULL, NULL },
    { "verbose", 'v', 0, G_OPTION_ARG_NONE, &raw->verbose, NULL, NULL },
    { "namespace", 'N', 0, G_OPTION_ARG_FILENAME, &raw->namespace, NULL, NULL },
    { "types", 't', 0, G_OPTION_ARG_FILENAME, &raw->type, NULL, NULL },
    { "options", 'o', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->mount_options, NULL, NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->positional, NULL, NULL },
    G_OPTION_ENTRY_NULL,
  };
  return parse_raw (args, entries, error);
}

static bool
choose_action (const Raw *raw, PfsOptions *options, GError **error)
{
  int wanted = (raw->list ? 1 : 0) + (raw->wait ? 1 : 0) + (raw->as ? 1 : 0) + (raw->links ? 1 : 0);
  options->action = PFS_ACTION_MOUNT;
  if (raw->help)
    options->action = PFS_ACTION_HELP;
  else if (raw->version)
    options->action = PFS_ACTION_VERSION;
  else if (wanted > 1)
    return usage_error (error, "--list, --wait, --as and --links exclude one another");
  else if (raw->list)
    options->action = PFS_ACTION_LIST;
  else if (raw->wait)
    options->action = PFS_ACTION_WAIT;
  else if (raw->as)
    options->action = PFS_ACTION_AS;
  else if (raw->links)
    options->action = PFS_ACTION_LINKS;
  if (raw->log_level && options->action != PFS_ACTION_MOUNT && options->action != PFS_ACTION_HELP
      && options->action != PFS_ACTION_VERSION)
    return usage_error (error, "--log-level goes with a MOUNTPOINT");
  if ((raw->foreground || raw->debug)
      && (options->action == PFS_ACTION_LIST || options->action == PFS_ACTION_AS || options->action == PFS_ACTION_WAIT))
    return usage_error (error, "-f and -d go with a MOUNTPOINT");
  if (raw->unguarded && options->action != PFS_ACTION_AS && options->action != PFS_ACTION_HELP
      && options->action != PFS_ACTION_VERSION)
    return usage_error (error, "--unguarded goes with --as");
  if (raw->json && options->action == PFS_ACTION_MOUNT)
    return usage_error (error, "--json goes with --list");
  if (raw->timeout && options->action == PFS_ACTION_MOUNT)
    return usage_error (error, "--timeout goes with --wait");
  return true;
}

static bool
take_timeout (const char *text, PfsOptions *options, GError **error)
{
  if (!text)
    return true;
  char *end = NULL;
  double seconds = g_ascii_strtod (text, &end);
  if (end == text || *end || !isfinite (seconds) || seconds < 0)
    return usage_error (error, "--timeout takes a number of seconds");
  options->timeout = seconds;
  return true;
}

static bool
take_log_level (const char *text, PfsOptions *options, GError **error)
{
  if (!text || g_str_equal (text, "info"))
    options->mount.log_level = PFS_LOG_INFO;
  else if (g_str_equal (text, "warning"))
    options->mount.log_level = PFS_LOG_WARNING;
  else if (g_str_equal (text, "error"))
    options->mount.log_level = PFS_LOG_ERROR;
  else
    return usage_error (error, "--log-level takes error, warning or info");
  return true;
}

static bool
take_names (char *const *names, PfsOptions *options, GError **error)
{
  for (; names && *names; names++) {
    if (!pfs_table_check_name (*names))
      return usage_error (error, "--name takes ID_PREFIX=NAME, as in --name 3f2a=web");
    g_ptr_array_add (options->table.names, g_strdup (*names));
  }
  return true;
}

static bool
take_scope (const Raw *raw, PfsOptions *options, GError **error)
{
  if ((raw->node && !pfs_options_set_scope (options, NULL, error))
      || (raw->pod && !pfs_options_set_scope (options, raw->pod, error)))
    return false;
  if (options->table.scope == PFS_SCOPE_NODE && options->action == PFS_ACTION_LINKS)
    return usage_error (error, "--links keeps one pod's containers; give --pod NAMESPACE/POD instead of --node");
  return true;
}

/* Takes MOUNTPOINT, or SOURCE MOUNTPOINT as mount.fuse3 calls us; rest is the words behind a "--". */
static bool
take_mountpoint (char *const *positional, char *const *rest, bool options_given, PfsOptions *options, GError **error)
{
  const char *words[2] = { NULL, NULL };
  size_t n = 0;
  for (int part = 0; part < 2; part++) {
    for (char *const *word = part == 0 ? positional : rest; word && *word; word++) {
      if (n == 2)
        return usage_error (error, "too many arguments, one MOUNTPOINT is enough");
      words[n++] = *word;
    }
  }
  if (n == 0 || !*words[n - 1])
    return usage_error (error, "no MOUNTPOINT given");
  static const char *const commands[] = { "list", "wait", "as", "links", "help", "version", NULL };
  if (g_strv_contains (commands, words[0])) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "'%s' would be a folder here; write --%s, or ./%s for one "
                 "of that name",
                 words[0], words[0], words[0]);
    return false;
  }
  /* mount.fuse3 always adds "-o". */
  if (n == 2 && *words[0] == '/' && *words[1] == '/' && !options_given)
    return usage_error (error, "two folders given, one MOUNTPOINT is enough");
  options->mountpoint = g_strdup (words[n - 1]);
  /* "none" stands for no source. */
  if (n == 2 && *words[0] && !options->fsname && !g_str_equal (words[0], "none")) {
    if (strpbrk (words[0], ",\\"))
      return usage_error (error, "a source has no comma and no backslash");
    options->fsname = g_strdup (words[0]);
  }
  return true;
}

static bool
take_target (const char *target, const char *option, PfsOptions *options, GError **error)
{
  if (*target == '/') {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "%s takes NAME/PATH without the mountpoint: "
                 "nginx/pid, not /peers/nginx/pid",
                 option);
    return false;
  }
  if (!*target) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s takes the name of a container first", option);
    return false;
  }
  options->target = g_strdup (target);
  return true;
}

static bool
take_command (const Raw *raw, char *const *rest, PfsOptions *options, GError **error)
{
  if (raw->positional || !rest || !*rest)
    return usage_error (error, "--as NAME is followed by -- and the command to run");
  options->command = g_strdupv ((char **) rest);
  return take_target (raw->as, "--as", options, error);
}

static bool
take_folder (const char *folder, PfsOptions *options, GError **error)
{
  if (!*folder)
    return usage_error (error, "--links takes a folder");
  options->target = g_strdup (folder);
  return true;
}

static bool
take_operands (const Raw *raw, char *const *rest, PfsOptions *options, GError **error)
{
  bool extra = raw->positional || (rest && *rest);
  switch (options->action) {
  case PFS_ACTION_MOUNT:
    return take_mountpoint (raw->positional, rest, raw->mount_options || raw->helper, options, error);
  case PFS_ACTION_AS:
    return take_command (raw, rest, options, error);
  case PFS_ACTION_WAIT:
    return extra ? usage_error (error, "--wait takes one NAME[/PATH] and no MOUNTPOINT")
                 : take_target (raw->wait, "--wait", options, error);
  case PFS_ACTION_LINKS:
    return extra ? usage_error (error, "--links takes one folder and no MOUNTPOINT")
                 : take_folder (raw->links, options, error);
  case PFS_ACTION_LIST:
    return extra ? usage_error (error, "--list takes no MOUNTPOINT") : true;
  case PFS_ACTION_HELP:
  case PFS_ACTION_VERSION:
  case PFS_ACTION_NOTHING:
    break;
  }
  return true;
}

static bool
fill (const Raw *raw, char *const *rest, PfsOptions *options, GError **error)
{
  for (char **list = raw->mount_options; list && *list; list++) {
    if (!pfs_mountopts_apply (options, *list, raw->sloppy, error))
      return false;
  }
  if (!take_timeout (raw->timeout, options, error) || !take_log_level (raw->log_level, options, error)
      || !take_names (raw->names, options, error) || !take_scope (raw, options, error)
      || !take_operands (raw, rest, options, error))
    return false;
  if (raw->proc && !*raw->proc)
    return usage_error (error, "--proc takes a directory");
  options->proc = g_strdup (raw->proc ? raw->proc : "/proc");
  options->json = raw->json;
  options->unguarded = raw->unguarded;
  options->table.sandbox = raw->sandbox;
  options->mount.mountpoint = options->mountpoint;
  options->mount.fsname = options->fsname;
  options->mount.kernel_options = options->kernel_options;
  options->mount.debug = raw->debug;
  options->mount.foreground = raw->foreground || raw->debug;
  if (raw->fake)
    options->action = PFS_ACTION_NOTHING;
  return true;
}

PfsOptions *
pfs_options_parse (int argc, char *const *argv, GError **error)
{
  g_autofree char *program = argc > 0 ? g_path_get_basename (argv[0]) : g_strdup ("peerfs");
  bool helper = g_str_has_prefix (program, "mount.");
  g_auto (Raw) raw = { .helper = helper };
  g_autoptr (PfsOptions) options = options_new ();
  char *const *rest = NULL;
  g_auto (GStrv) args = arguments (argc, argv, &rest);
  if (!(helper ? parse_helper (args, &raw, error) : parse_program (args, &raw, error)))
    return NULL;
  if (!choose_action (&raw, options, error) || !fill (&raw, rest, options, error))
    return NULL;
  return g_steal_pointer (&options);
}
