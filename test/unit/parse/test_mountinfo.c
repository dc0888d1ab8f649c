/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "peerfs/parse/kubelet.h"
#include "peerfs/parse/mountinfo.h"
#include "vectors.h"

#define U "121157b5-c67d-4c3e-9052-cb27bbb711fb"
#define V "042efd86-1f3b-4f2f-8736-f31c58e95bbc"
#define HEX32 "bd12dd3393227d950605a2444b13c27a"
#define LOG "/dev/termination-log"
#define KUBELET "/var/lib/kubelet/pods/"
#define DOCKER "/var/lib/docker/volumes/2a2b/_data"
#define LINE(dev, root, point) "352 335 " dev " " root " " point " rw,relatime - ext4 /dev/vda rw\n"
#define OVERLAY(point) "335 300 0:55 / " point " rw - overlay overlay rw,lowerdir=/l\n"

static void
check (const char *text, const char *pod_uid, const char *name, const char *found_uid)
{
  PfsKubeletMount mount;
  g_autoptr (GBytes) content = g_bytes_new_static (text, strlen (text));
  bool found;

  memset (&mount, 0x5a, sizeof mount);
  found = pfs_mountinfo_kubelet (content, pod_uid, NULL, &mount);
  if (found != (name != NULL) || strcmp (mount.name, name ? name : "") != 0
      || strcmp (mount.pod_uid, found_uid ? found_uid : "") != 0)
    fail_msg ("%s\n gave %s %s", text, mount.name, mount.pod_uid);
  assert_int_equal (strlen (mount.instance), found ? 8 : 0);
}

static void
check_vector (char **cells)
{
  bool none = strcmp (cells[2], "-") == 0;
  g_autofree char *text = g_strconcat (OVERLAY ("/"), cells[1], NULL);

  check (cells[1], NULL, none ? NULL : cells[2], none ? NULL : cells[3]);
  check (text, none ? NULL : cells[3], none ? NULL : cells[2], none ? NULL : cells[3]);
}

static void
test_vectors (void **state G_GNUC_UNUSED)
{
  assert_int_equal (vectors_run (PFS_FIXTURES "/vectors/mountinfo.tsv", 5, check_vector), 7);
}

static void
test_kubelet_forms (void **state G_GNUC_UNUSED)
{
  g_autofree char *label = g_strnfill (63, 'n');
  g_autofree char *longest = g_strdup_printf (LINE ("8:1", "/pods/" U "/containers/%s/9bf2b38c", LOG), label);
  g_autoptr (GBytes) content = g_bytes_new_static (longest, strlen (longest));
  PfsKubeletMount mount;

  check (LINE ("8:1", "/pods/" U "/containers/a/9bf2b38c", LOG), "", "a", U);
  check (LINE ("8:1", KUBELET HEX32 "/containers/a-1/9bf2b38c", LOG), NULL, "a-1", HEX32);
  check (LINE ("8:1", KUBELET U "/containers/a/9bf2b38c", "/tmp/any"), U, "a", U);
  check (LINE ("8:1", KUBELET U "/containers/a/9bf2b38c", "/tmp/any"), V, NULL, NULL);
  check (LINE ("8:1", "/a\\040b/pods/" U "/containers/a/9bf2b38c", LOG), NULL, "a", U);
  check (longest, NULL, label, U);
  assert_true (pfs_mountinfo_kubelet (content, NULL, NULL, &mount));
  assert_string_equal (mount.instance, "9bf2b38c");

  /* the node is itself a container, and the kubelet's folder in a volume of its engine */
  check (LINE ("8:1", DOCKER "/lib/kubelet/pods/" U "/containers/a/9bf2b38c", LOG), NULL, "a", U);
  check (LINE ("8:1", DOCKER "/pods/" U "/containers/a/9bf2b38c", LOG), NULL, "a", U);
}

static void
test_kubelet_malformed (void **state G_GNUC_UNUSED)
{
  g_autofree char *label = g_strnfill (64, 'n');
  g_autofree char *too_long = g_strdup_printf ("/pods/" U "/containers/%s/9bf2b38c", label);
  const char *roots[] = {
    too_long,
    "pods/" U "/containers/a/9bf2b38c",
    "/xpods/" U "/containers/a/9bf2b38c",
    "/pods/" U "/containers/a/9bf2b38c//deleted",
    "/pods/" U "/containers/a/9bf2b38c/",
    "/pods/" U "/containers/a/9bf2b38",
    "/pods/" U "/containers/a/9bf2b38c0",
    "/pods/" U "/containers/a/9BF2b38c",
    "/pods/" U "/containers/a/9bf2b38g",
    "/pods/" U "/containers/-a/9bf2b38c",
    "/pods/" U "/containers/a-/9bf2b38c",
    "/pods/" U "/containers/A/9bf2b38c",
    "/pods/" U "/containers/a.b/9bf2b38c",
    "/pods/" U "/containers/a_b/9bf2b38c",
    "/pods/" U "/containers/a\\040b/9bf2b38c",
    "/pods/" U "/containers//9bf2b38c",
    "/pods/" U "/containers/../9bf2b38c",
    "/pods/" U "/containers/a\\134057b/9bf2b38c",
    "/pods/" U "/container/a/9bf2b38c",
    "/pods/" U "0/containers/a/9bf2b38c",
    "/pods/x/containers/evil/deadbeef",
    "/pods/121157B5-c67d-4c3e-9052-cb27bbb711fb/containers/a/9bf2b38c",
    "/pods/" HEX32 "0/containers/a/9bf2b38c",
    "/pods/" U "/volume-subpaths/a/b/0",
    "/pods/" U "/etc-hosts",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (roots); i++) {
    g_autofree char *text = g_strdup_printf (LINE ("8:1", "%s", LOG), roots[i]);

    check (text, U, NULL, NULL);
  }
}

#define REAL LINE ("8:1", KUBELET U "/containers/real/9bf2b38c", "/var/log/term")
#define REAL_DEFAULT LINE ("8:1", KUBELET U "/containers/real/9bf2b38c", LOG)

/* Each line alone names nothing, and neither before nor after the kubelet's own does it change anything. Without the
 * pod's uid, the kubelet's own counts at the default path alone. */
static void
check_look_alike (const char *lines)
{
  g_autofree char *before = g_strconcat (OVERLAY ("/"), lines, REAL, NULL);
  g_autofree char *after = g_strconcat (OVERLAY ("/"), REAL_DEFAULT, lines, NULL);
  g_autofree char *last = g_strconcat (OVERLAY ("/"), REAL, lines, NULL);
  g_autofree char *before_default = g_strconcat (OVERLAY ("/"), lines, REAL_DEFAULT, NULL);

  check (lines, NULL, NULL, NULL);
  check (before, U, "real", U);
  check (before, NULL, NULL, NULL);
  check (before_default, NULL, "real", U);
  check (after, V, "real", U);
  check (last, U, "real", U);
}

static void
test_look_alikes (void **state G_GNUC_UNUSED)
{
  const char *evil[] = {
    /* a subPath of a volume */
    LINE ("8:1", KUBELET U "/volumes/kubernetes.io~empty-dir/d/pods/x/containers/evil/deadbeef", LOG),
    LINE ("8:1", KUBELET U "/volumes/kubernetes.io~empty-dir/d/pods/" V "/containers/evil/deadbeef", LOG),
    LINE ("8:1", "/" U "/volumes/kubernetes.io~empty-dir/d/pods/" V "/containers/evil/deadbeef", "/a"),
    LINE ("8:1", KUBELET U "/volumes/kubernetes.io~empty-dir/d/volumes/x/_data/pods/" U "/containers/evil/deadbeef",
          LOG),
    LINE ("8:1", DOCKER "/pods/" U "/volumes/kubernetes.io~empty-dir/d/pods/" U "/containers/evil/deadbeef", LOG),
    LINE ("8:1", "/volumes/pods/" U "/containers/evil/deadbeef", LOG),
    LINE ("8:1", KUBELET U "/plugins/x/pods/" U "/containers/evil/deadbeef", LOG),
    /* the kubelet's folder, and what is mounted in it */
    LINE ("8:1", "/var/lib/kubelet", "/host") LINE ("8:1", KUBELET V "/containers/evil/deadbeef", "/host/a"),
    LINE ("8:1", "/var/lib/kubelet", "/host") LINE ("0:9", "/pods/" V "/containers/evil/deadbeef", "/host/a"),
    LINE ("8:1", "/", "/host") LINE ("8:1", KUBELET V "/containers/evil/deadbeef", "/host/any/where"),
    LINE ("8:1", KUBELET V "/containers/evil/deadbeef", "/host/any/where") LINE ("8:1", "/var", "/host"),
    LINE ("9:1", "/", "/k") LINE ("9:1", "/pods/" V "/containers/evil/deadbeef", "/k/x"),
    LINE ("8:1", "/kubelet/pods", "/p") LINE ("0:9", "/pods/" V "/containers/evil/deadbeef", "/p/" V "/x"),
    LINE ("8:1", KUBELET V, "/p") LINE ("0:9", "/pods/" V "/containers/evil/deadbeef", "/p/x"),
    LINE ("0:9", "/pods/" V "/containers/evil/deadbeef", "/var/lib/kubelet/pods/" V "/volume-subpaths/d/evil/0"),
    /* other containers' root filesystems */
    LINE ("8:1", KUBELET V "/containers/evil/deadbeef", "/run/containerd/x/rootfs/dev/termination-log"),
    LINE ("8:1", KUBELET V "/containers/evil/deadbeef", "/rootfs/dev/termination-log"),
    LINE ("8:1", KUBELET U "/containers/evil/deadbeef", "/rootfs/dev/termination-log"),
    LINE ("9:9", KUBELET V "/containers/evil/deadbeef", "/host/var/lib/docker/overlay2/x/merged/dev/termination-log")
        OVERLAY ("/host/var/lib/docker/overlay2/x/merged"),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (evil); i++)
    check_look_alike (evil[i]);
}

static void
test_preference (void **state G_GNUC_UNUSED)
{
  const char *u_path = LINE ("8:1", KUBELET U "/containers/u/9bf2b38c", "/b");
  const char *v_path = LINE ("8:1", KUBELET V "/containers/v/9bf2b38c", "/a");
  const char *v_log = LINE ("8:1", KUBELET V "/containers/vlog/9bf2b38c", LOG);
  const char *u_log = LINE ("8:1", KUBELET U "/containers/ulog/9bf2b38c", LOG);
  const char *volume = LINE ("8:1", KUBELET U "/volumes/kubernetes.io~empty-dir/pods", "/d");
  const char *in_volume = LINE ("8:1", KUBELET U "/containers/w/9bf2b38c", "/d/log");
  g_autofree char *both = g_strconcat (v_path, u_path, NULL);
  g_autofree char *reversed = g_strconcat (u_path, v_path, NULL);
  g_autofree char *log = g_strconcat (u_path, v_log, u_path, NULL);
  g_autofree char *logs = g_strconcat (u_log, v_log, NULL);
  g_autofree char *volumes = g_strconcat (u_path, volume, in_volume, NULL);
  g_autofree char *only_volume = g_strconcat (volume, in_volume, NULL);

  check (both, U, "u", U);
  check (reversed, U, "u", U);
  check (both, V, "v", V);
  check (both, NULL, NULL, NULL);
  check (log, NULL, "vlog", V);
  check (log, U, "vlog", V);
  check (logs, U, "ulog", U);
  check (logs, NULL, "vlog", V);
  check (volumes, U, "w", U);
  check (only_volume, U, "w", U);
}

static void
test_lines (void **state G_GNUC_UNUSED)
{
  const char text[] = "\n1 0 8:1 / / rw\n1 0 8:1 / / rw -\n1 0 8:1 / / rw - ext4\n1 0 8:1 / / rw - ext4 src\n"
                      "x 0 8:1 / / rw - ext4 s o\n1 0 8 / / rw - ext4 s o\n1 0 8: / / rw - ext4 s o\n"
                      "1 0 8:1 / rel rw - ext4 s o\n1 0 8:1  / rw - ext4 s o\n"
                      "21 20 0:19 /a\\040b\\011c\\012d\\134040 /m\\043 ro,x shared:1 master:2 "
                      "- tmpfs  rw,size=1\\054 k\n"
                      "22 21 4294967295:0 net:[40] /n rw - nsfs nsfs rw\\000\\9\\40";
  g_autoptr (GBytes) content = g_bytes_new_static (text, sizeof text - 1);
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  assert_true (pfs_mount_iter_next (iter, &line));
  assert_int_equal (line.id, 21);
  assert_int_equal (line.parent_id, 20);
  assert_int_equal (line.major, 0);
  assert_int_equal (line.minor, 19);
  assert_string_equal (line.root, "/a b\tc\nd\\040");
  assert_string_equal (line.mount_point, "/m#");
  assert_string_equal (line.options, "ro,x");
  assert_string_equal (line.fstype, "tmpfs");
  assert_string_equal (line.source, "");
  assert_string_equal (line.super_options, "rw,size=1, k");

  assert_true (pfs_mount_iter_next (iter, &line));
  assert_string_equal (line.root, "net:[40]");
  assert_string_equal (line.super_options, "rw\\000\\9\\40");
  assert_true (line.major == 4294967295u);
  assert_false (pfs_mount_iter_next (iter, &line));
  assert_false (pfs_mount_iter_next (iter, &line));
}

static void
test_root (void **state G_GNUC_UNUSED)
{
  const char text[] = "1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /dev rw - tmpfs t rw\n"
                      "3 1 0:55 /x / rw - overlay over lowerdir=/l\n4 3 0:6 / /proc rw - proc proc rw\n";
  g_autoptr (GBytes) content = g_bytes_new_static (text, sizeof text - 1);
  g_autoptr (GBytes) empty = g_bytes_new_static ("", 0);
  g_autofree char *key = pfs_mountinfo_root (content);

  assert_string_equal (key, "0:55 /x over lowerdir=/l");
  assert_null (pfs_mountinfo_root (empty));

  g_autofree char *proc = pfs_mountinfo_fstype (content, 0, 6), *overlay = pfs_mountinfo_fstype (content, 0, 55);
  assert_string_equal (proc, "proc");
  assert_string_equal (overlay, "overlay");
  assert_null (pfs_mountinfo_fstype (content, 0, 7));
  assert_true (pfs_mountinfo_device (content, 3) == makedev (0, 55));
  assert_true (pfs_mountinfo_device (content, 5) == 0);
}

/* The kernel is the oracle: what it says of our own "/" must be what stat finds there. */
static void
test_own (void **state G_GNUC_UNUSED)
{
  g_autofree char *text = NULL, *key = NULL;
  struct stat st;
  gsize len;

  assert_true (g_file_get_contents ("/proc/self/mountinfo", &text, &len, NULL));
  g_autoptr (GBytes) content = g_bytes_new_static (text, len);
  key = pfs_mountinfo_root (content);
  assert_non_null (key);
  assert_int_equal (stat ("/proc/self", &st), 0);
  g_autofree char *type = pfs_mountinfo_fstype (content, major (st.st_dev), minor (st.st_dev));
  assert_string_equal (type, "proc");
}

/* A hostile namespace may hold a hundred thousand mounts. */
static void
test_bounded (void **state G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new (NULL);
  clock_t start = clock ();
  PfsKubeletMount mount;

  while (text->len < PFS_MOUNTINFO_MAX)
    g_string_append (text, LINE ("8:1", KUBELET U "/containers/u/9bf2b38c", "/b/c") LINE ("8:1", "/", "/b"));
  g_autoptr (GBytes) content = g_bytes_new_static (text->str, text->len);
  assert_true (pfs_mountinfo_kubelet (content, U, NULL, &mount));
  assert_true (clock () - start < 5 * CLOCKS_PER_SEC);
}

static void
test_remote (void **state)
{
  static const char *const remote[] = { "nfs4", "fuse", "fuse.sshfs", "fuseblk", "fuseblk.exfat", "autofs" };
  static const char *const local[] = { "ext4", "overlay", "fusectl", "tmpfs", "" };

  (void) state;
  for (size_t i = 0; i < G_N_ELEMENTS (remote); i++)
    assert_true (pfs_mount_type_remote (remote[i]));
  for (size_t i = 0; i < G_N_ELEMENTS (local); i++)
    assert_false (pfs_mount_type_remote (local[i]));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_vectors),
    cmocka_unit_test (test_kubelet_forms),
    cmocka_unit_test (test_kubelet_malformed),
    cmocka_unit_test (test_look_alikes),
    cmocka_unit_test (test_preference),
    cmocka_unit_test (test_lines),
    cmocka_unit_test (test_root),
    cmocka_unit_test (test_own),
    cmocka_unit_test (test_bounded),
    cmocka_unit_test (test_remote),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
