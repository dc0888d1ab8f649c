/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "main/options.h"

/* Parses a command line of words separated by single blanks. */
static PfsOptions *
parse (const char *line, char **ret_error)
{
  g_auto (GStrv) argv = g_strsplit (line, " ", -1);
  g_autoptr (GError) error = NULL;
  PfsOptions *options = pfs_options_parse ((int) g_strv_length (argv), argv, &error);
  assert_true ((options == NULL) == (error != NULL));
  *ret_error = error ? g_strdup (error->message) : NULL;
  return options;
}

static PfsOptions *
good (const char *line)
{
  g_autofree char *error = NULL;
  PfsOptions *options = parse (line, &error);
  if (!options)
    fail_msg ("%s: %s", line, error);
  return options;
}

/* The line is refused, with words that contain part. */
static void
bad (const char *line, const char *part)
{
  g_autofree char *error = NULL;
  g_autoptr (PfsOptions) options = parse (line, &error);
  if (options)
    fail_msg ("%s: accepted", line);
  if (!strstr (error, part))
    fail_msg ("%s: '%s' does not say '%s'", line, error, part);
  assert_null (strchr (error, '\n'));
}

static void
log_level_is_one_of_three (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) none = good ("peerfs /peers");
  g_autoptr (PfsOptions) info = good ("peerfs --log-level info /peers");
  g_autoptr (PfsOptions) warning = good ("peerfs --log-level=warning /peers");
  g_autoptr (PfsOptions) errors = good ("peerfs /peers --log-level error");
  assert_int_equal (none->mount.log_level, PFS_LOG_INFO);
  assert_int_equal (info->mount.log_level, PFS_LOG_INFO);
  assert_int_equal (warning->mount.log_level, PFS_LOG_WARNING);
  assert_int_equal (errors->mount.log_level, PFS_LOG_ERROR);
  bad ("peerfs --log-level loud /peers", "--log-level takes");
  bad ("peerfs --log-level error --list", "--log-level goes");
}

static void
plain_mount_has_the_defaults (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) o = good ("peerfs /peers");
  assert_int_equal (o->action, PFS_ACTION_MOUNT);
  assert_string_equal (o->mount.mountpoint, "/peers");
  assert_string_equal (o->proc, "/proc");
  assert_null (o->mount.fsname);
  assert_null (o->mount.kernel_options);
  assert_false (o->mount.foreground);
  assert_false (o->mount.debug);
  assert_false (o->mount.allow_other);
  assert_true (o->mount.passthrough);
  assert_true (o->mount.sandbox);
  assert_false (o->mount.tree.read_only);
  assert_false (o->mount.tree.raw_symlinks);
  assert_false (o->mount.tree.special_nodes);
  assert_false (o->table.sandbox);
  assert_int_equal (o->table.names->len, 0);
}

static void
options_go_before_and_after_the_mountpoint (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) before = good ("peerfs -f -o ro,allow_other --sandbox --proc /p /peers");
  g_autoptr (PfsOptions) after = good ("peerfs /peers --proc=/p --sandbox -oro,allow_other -f");
  PfsOptions *both[] = { before, after };
  for (size_t i = 0; i < 2; i++) {
    assert_string_equal (both[i]->mount.mountpoint, "/peers");
    assert_string_equal (both[i]->proc, "/p");
    assert_true (both[i]->mount.foreground);
    assert_true (both[i]->mount.tree.read_only);
    assert_true (both[i]->mount.allow_other);
    assert_true (both[i]->table.sandbox);
    assert_string_equal (both[i]->mount.kernel_options, "ro");
  }
  g_autoptr (PfsOptions) debug = good ("peerfs -d -- -odd");
  assert_true (debug->mount.debug && debug->mount.foreground);
  assert_string_equal (debug->mount.mountpoint, "-odd");
}

static void
own_mount_options (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) o = good ("peerfs -o symlinks=raw,special=node,attr_timeout=2.5,entry_timeout=0 "
                                   "-o passthrough=off,sandbox=off,name=3f2a=w\\,eb,fsname=a --name ab=c /peers");
  assert_true (o->mount.tree.raw_symlinks);
  assert_true (o->mount.tree.special_nodes);
  assert_true (o->mount.tree.attr_timeout == 2.5);
  assert_true (o->mount.tree.entry_timeout == 0);
  assert_false (o->mount.passthrough);
  assert_false (o->mount.sandbox);
  assert_string_equal (o->mount.fsname, "a");
  assert_int_equal (o->table.names->len, 2);
  assert_string_equal (o->table.names->pdata[0], "3f2a=w,eb");
  assert_string_equal (o->table.names->pdata[1], "ab=c");

  g_autoptr (PfsOptions) last = good ("peerfs -o nopassthrough,nosandbox,symlinks=raw,ro "
                                      "-o passthrough,sandbox=on,symlinks=contained,rw /peers");
  assert_true (last->mount.passthrough);
  assert_true (last->mount.sandbox);
  assert_false (last->mount.tree.raw_symlinks);
  assert_false (last->mount.tree.read_only);
  assert_null (last->mount.kernel_options);
}

static void
called_by_mount (void **state)
{
  (void) state;
  /* What mount.fuse3 runs for "mount -t fuse.peerfs none /peers", and for a line of fstab(5). */
  g_autoptr (PfsOptions) plain = good ("peerfs none /peers -o rw,dev,suid");
  assert_string_equal (plain->mount.mountpoint, "/peers");
  assert_null (plain->mount.fsname);
  assert_null (plain->mount.kernel_options);
  g_autoptr (PfsOptions) fstab = good ("peerfs pod /peers -o rw,relatime,noexec,noatime,x-systemd.after=a,comment=b,"
                                       "user=root,nofail,_netdev,noauto,defaults,allow_other,dev,suid");
  assert_string_equal (fstab->mount.fsname, "pod");
  assert_string_equal (fstab->mount.kernel_options, "noexec,noatime");
  assert_true (fstab->mount.allow_other);
}

static void
called_as_a_mount_helper (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) o = good ("/sbin/mount.peerfs none /peers -n -v -o ro -t fuse.peerfs");
  assert_int_equal (o->action, PFS_ACTION_MOUNT);
  assert_string_equal (o->mount.mountpoint, "/peers");
  assert_true (o->mount.tree.read_only);
  assert_false (o->mount.foreground);
  g_autoptr (PfsOptions) fake = good ("mount.fuse.peerfs none /peers -f");
  assert_int_equal (fake->action, PFS_ACTION_NOTHING);
  g_autoptr (PfsOptions) sloppy = good ("mount.peerfs none /peers -s -o unheard");
  assert_int_equal (sloppy->action, PFS_ACTION_MOUNT);
  bad ("mount.peerfs none /peers -o unheard", "unheard");
  bad ("mount.peerfs --list", "--list");
}

static void
the_other_commands (void **state)
{
  (void) state;
  g_autoptr (PfsOptions) list = good ("peerfs --list --json --proc saved");
  assert_int_equal (list->action, PFS_ACTION_LIST);
  assert_true (list->json);
  g_autoptr (PfsOptions) wait = good ("peerfs --wait flux1/sockets/local-0 --timeout 1.5");
  assert_int_equal (wait->action, PFS_ACTION_WAIT);
  assert_string_equal (wait->target, "flux1/sockets/local-0");
  assert_true (wait->timeout == 1.5);
  g_autoptr (PfsOptions) forever = good ("peerfs --wait flux1");
  assert_true (forever->timeout < 0);
  g_autoptr (PfsOptions) as = good ("peerfs --as flux1 -- flux jobs -a -o x -- --help");
  const char *command[] = { "flux", "jobs", "-a", "-o", "x", "--", "--help", NULL };
  assert_int_equal (as->action, PFS_ACTION_AS);
  assert_string_equal (as->target, "flux1");
  for (size_t i = 0; command[i]; i++)
    assert_string_equal (as->command[i], command[i]);
  assert_null (as->command[7]);
  g_autoptr (PfsOptions) help = good ("peerfs --help");
  assert_int_equal (help->action, PFS_ACTION_HELP);
  g_autoptr (PfsOptions) version = good ("peerfs -V");
  assert_int_equal (version->action, PFS_ACTION_VERSION);
}

#define UID "0a1b2c3d-0000-4000-8000-000000000000"

static void
scopes (void **state)
{
  static const char *const pods[] = { "peerfs --pod a/b /peers",   "peerfs /peers -o pod=a/b",
                                      "peerfs --list --pod=a/b",   "peerfs --pod a/b --links /l",
                                      "peerfs --pod a/b --wait x", "peerfs --pod a/b -o pod=a/b /peers" };
  static const char *const nodes[] = { "peerfs --node /peers", "peerfs -o node /peers", "peerfs --node --list",
                                       "peerfs --node --as a/b/c -- id" };
  (void) state;
  for (size_t i = 0; i < G_N_ELEMENTS (pods); i++) {
    g_autoptr (PfsOptions) o = good (pods[i]);
    assert_int_equal (o->table.scope, PFS_SCOPE_POD);
    assert_string_equal (o->table.pod, "a/b");
  }
  for (size_t i = 0; i < G_N_ELEMENTS (nodes); i++) {
    g_autoptr (PfsOptions) o = good (nodes[i]);
    assert_int_equal (o->table.scope, PFS_SCOPE_NODE);
  }
  g_autoptr (PfsOptions) uid = good ("peerfs --pod " UID " /peers");
  assert_string_equal (uid->table.pod, UID);
  g_autoptr (PfsOptions) own = good ("peerfs /peers");
  assert_int_equal (own->table.scope, PFS_SCOPE_OWN);
  assert_null (own->table.pod);
  static const char *const no_pods[] = { "a", "a/", "/b", "a/b/c", "" };
  for (size_t i = 0; i < G_N_ELEMENTS (no_pods); i++) {
    g_autofree char *line = g_strdup_printf ("peerfs --list --pod=%s", no_pods[i]);
    bad (line, "--pod takes");
  }
  bad ("peerfs -o pod /peers", "--pod takes");
  bad ("peerfs -o node=yes /peers", "'node=yes'");
  bad ("peerfs --node --pod a/b /peers", "exclude");
  bad ("peerfs --pod a/b -o pod=a/c /peers", "exclude");
  bad ("peerfs --node --links /l", "--pod NAMESPACE/POD");
}

static void
wrong_usage_is_refused (void **state)
{
  (void) state;
  bad ("peerfs", "MOUNTPOINT");
  bad ("peerfs -f ", "MOUNTPOINT");
  bad ("peerfs --list --proc=", "--proc");
  bad ("peerfs a b c", "too many");
  bad ("peerfs --frobnicate /peers", "--frobnicate");
  bad ("peerfs -o frobnicate /peers", "'frobnicate'");
  bad ("peerfs -o ro=1 /peers", "'ro=1'");
  bad ("peerfs -o", "-o");
  bad ("peerfs -o symlinks=no /peers", "contained or raw");
  bad ("peerfs -o symlinks /peers", "contained or raw");
  bad ("peerfs -o special=x /peers", "link or node");
  bad ("peerfs -o sandbox=maybe /peers", "on or off");
  bad ("peerfs -o attr_timeout=-1 /peers", "seconds");
  bad ("peerfs -o entry_timeout=nan /peers", "seconds");
  bad ("peerfs -o entry_timeout=1s /peers", "seconds");
  bad ("peerfs -o name=web /peers", "ID_PREFIX=NAME");
  bad ("peerfs -o fsname= /peers", "name");
  bad ("peerfs -o fsname=a\\,allow_other /peers", "comma");
  bad ("peerfs a,allow_other /peers", "comma");
  bad ("peerfs --name web /peers", "ID_PREFIX=NAME");
  bad ("peerfs --name a=b/c /peers", "ID_PREFIX=NAME");
  bad ("peerfs --list /peers", "MOUNTPOINT");
  bad ("peerfs --list --wait x", "exclude");
  bad ("peerfs --json /peers", "--list");
  bad ("peerfs --timeout 3 /peers", "--wait");
  bad ("peerfs --wait x --timeout soon", "seconds");
  bad ("peerfs --wait x --timeout inf", "seconds");
  bad ("peerfs --wait /x", "without the mountpoint");
  bad ("peerfs --wait a b", "--wait");
  bad ("peerfs list", "--list");
  bad ("peerfs /peers /peers2", "two folders");
  bad ("peerfs -d --list", "-d go");
  bad ("peerfs --as x", "--");
  bad ("peerfs --unguarded --list", "--unguarded goes");
  bad ("peerfs --as x --", "--");
  bad ("peerfs --as x id", "--");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (log_level_is_one_of_three),
    cmocka_unit_test (plain_mount_has_the_defaults),
    cmocka_unit_test (options_go_before_and_after_the_mountpoint),
    cmocka_unit_test (own_mount_options),
    cmocka_unit_test (called_by_mount),
    cmocka_unit_test (called_as_a_mount_helper),
    cmocka_unit_test (the_other_commands),
    cmocka_unit_test (scopes),
    cmocka_unit_test (wrong_usage_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
