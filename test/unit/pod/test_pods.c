/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pods of a node: which container is of which, and what they are called. */
#include "fixture.h"

#include <sys/stat.h>

#define ID_C "cccccccccccc3333333333333333333333333333333333333333333333333333"
#define ID_D "dddddddddddd4444444444444444444444444444444444444444444444444444"
#define ID_E "eeeeeeeeeeee5555555555555555555555555555555555555555555555555555"
#define UID_2 "22222222-2222-3333-4444-555555555555"
#define STATIC "0123456789abcdef0123456789abcdef"
#define IN_POD(uid, id) "0::/kubepods/besteffort/pod" uid "/cri-containerd-" id ".scope\n"
#define MOUNT(device, uid, name, hex)                                                                                  \
  "31 30 " device " /var/lib/kubelet/pods/" uid "/containers/" name "/" hex                                            \
  " /dev/termination-log rw - ext4 /dev/vda rw\n"

static void
put_folder (Fixture *f, const char *name)
{
  g_autofree char *path = g_strdup_printf ("%s/node/%s", f->dir, name);
  assert_return_code (g_mkdir_with_parents (path, 0755), errno);
}

static void
put_log_folder (Fixture *f, const char *name)
{
  g_autofree char *path = g_strdup_printf ("var/log/pods/%s", name);
  put_folder (f, path);
}

static void
put_init (Fixture *f)
{
  g_autofree char *node = g_strdup_printf ("%s/node", f->dir), *link = g_strdup_printf ("%s/1/root", f->dir);

  fixture_process (f, 1, "systemd", 1, "0::/init.scope\n", NODE_ROOT);
  assert_return_code (symlink (node, link), errno);
}

static void
put (Fixture *f, pid_t pid, const char *cgroup, const char *kubelet)
{
  g_autofree char *mounts = g_strdup_printf ("30 20 0:%d / / rw,relatime - overlay overlay rw,lowerdir=/l/%d\n%s",
                                             pid + 100, pid, kubelet);
  fixture_process (f, pid, "sh", (guint64) pid, cgroup, mounts);
}

static void
open_node (Fixture *f)
{
  const PfsTableOptions options = { .scope = PFS_SCOPE_NODE };
  fixture_open (f, &options);
}

static void
open_pod (Fixture *f, const char *pod)
{
  const PfsTableOptions options = { .scope = PFS_SCOPE_POD, .pod = (char *) pod };
  fixture_open (f, &options);
}

/* Two pods with the same names, a static one, one without a folder, and one that is of no pod. */
static void
put_node (Fixture *f)
{
  put_init (f);
  put_log_folder (f, "default_web_" UID_1);
  put_log_folder (f, "shop_web_" UID_2);
  put_log_folder (f, "kube-system_etcd-node-1_" STATIC);
  put_log_folder (f, "nobody_here_33333333-2222-3333-4444-555555555555");
  put_log_folder (f, "no name");
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, IN_POD (UID_2, ID_B), MOUNT ("254:0", UID_2, "nginx", "0123abce"));
  put (f, 12, "0::/kubepods/burstable/pod" STATIC "/" ID_C "\n", MOUNT ("254:0", STATIC, "etcd", "0123abcf"));
  put (f, 13, "0::/system.slice/docker-" ID_D ".scope\n", "");
  put (f, 14, "0::/lxc.payload.box\n", "");
}

static void
names_are_unique_in_a_pod (void **state)
{
  Fixture *f = *state;

  put_node (f);
  open_node (f);
  assert_listing (
      f->table,
      "_/_/box:14 _/_/dddddddddddd:13 default/web/nginx:10 kube-system/etcd-node-1/etcd:12 shop/web/nginx:11");
  g_autoptr (PfsContainer) c = fixture_find (f->table, "shop/web/nginx");
  assert_int_equal (pfs_container_pid (c), 11);
  assert_true (pfs_table_shows_node (f->table));
}

static void
groups_are_found (void **state)
{
  static const char *const bad[] = { "",          "/",     "web", "default/", "default/web/", "default/web/nginx",
                                     "shop/web2", "nobody" };
  Fixture *f = *state;

  put_node (f);
  open_node (f);
  assert_int_equal (pfs_table_find_group (f->table, "default"), 0);
  assert_int_equal (pfs_table_find_group (f->table, "default/web"), 0);
  assert_int_equal (pfs_table_find_group (f->table, "_/_"), 0);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_int_equal (pfs_table_find_group (f->table, bad[i]), -ENOENT);
  fixture_kill (f, 10);
  assert_int_equal (pfs_table_find_group (f->table, "default/web"), -ENOENT);
  assert_int_equal (pfs_table_find_group (f->table, "default"), -ENOENT);
  PfsContainer *none = NULL;
  assert_int_equal (pfs_table_find (f->table, "shop/web", &none), -ENOENT);
}

static void
one_pod_is_flat (void **state)
{
  Fixture *f = *state;
  static const struct {
    const char *pod, *listing;
  } rows[] = {
    { "shop/web", "nginx:11" },          { UID_1, "nginx:10" }, { STATIC, "etcd:12" },
    { "_/_", "box:14 dddddddddddd:13" }, { "shop/none", "" },   { "web", "" },
  };

  put_node (f);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++) {
    open_pod (f, rows[i].pod);
    assert_listing (f->table, rows[i].listing);
    g_clear_pointer (&f->table, pfs_table_unref);
    g_clear_pointer (&f->proc, pfs_proc_unref);
  }
}

static void
all_pods_are_known (void **state)
{
  Fixture *f = *state;
  g_autoptr (GString) all = g_string_new ("");

  put_node (f);
  open_pod (f, UID_1);
  assert_listing (f->table, "nginx:10");
  g_autoptr (GPtrArray) pods = pfs_table_pods (f->table);
  for (guint i = 0; i < pods->len; i++)
    g_string_append_printf (all, "%s %.8s\n", ((PfsPod *) pods->pdata[i])->place, ((PfsPod *) pods->pdata[i])->uid);
  assert_string_equal (all->str, "_/_ \ndefault/web 11111111\nkube-system/etcd-node-1 01234567\nshop/web 22222222\n");
}

static void
without_folders_the_uid_is_the_name (void **state)
{
  Fixture *f = *state;

  put_init (f);
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, IN_POD (UID_2, ID_B), MOUNT ("254:0", UID_2, "nginx", "0123abce"));
  open_node (f);
  assert_listing (f->table, "_/" UID_1 "/nginx:10 _/" UID_2 "/nginx:11");
  /* They are there with the next container at the latest. */
  put_log_folder (f, "default_web_" UID_1);
  put (f, 12, IN_POD (STATIC, ID_C), "");
  assert_listing (f->table, "_/" STATIC "/cccccccccccc:12 _/" UID_2 "/nginx:11 default/web/nginx:10");
}

static void
reads_links_of_the_nodes_root (void **state)
{
  Fixture *f = *state;
  g_autofree char *link = g_strdup_printf ("%s/node/var/log", f->dir);

  put_init (f);
  put_folder (f, "var");
  put_folder (f, "data/pods/default_web_" UID_1);
  assert_return_code (symlink ("/../data", link), errno);
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  open_node (f);
  assert_listing (f->table, "default/web/nginx:10");
}

/* A file system of another machine need not answer. */
static void
asks_no_remote_file_system (void **state)
{
  Fixture *f = *state;

  put_node (f);
  fixture_put (f, 1, "mountinfo", NODE_ROOT "21 20 0:77 / /var/log rw - nfs4 server:/log rw\n");
  open_pod (f, UID_1);
  assert_listing (f->table, "nginx:10");
  g_clear_pointer (&f->table, pfs_table_unref);
  g_clear_pointer (&f->proc, pfs_proc_unref);
  open_pod (f, "default/web");
  assert_listing (f->table, "");
}

static void
two_pods_of_one_name_are_told_apart (void **state)
{
  Fixture *f = *state;

  put_node (f);
  put_log_folder (f, "default_web_" UID_2);
  put_log_folder (f, "default_web_44444444-2222-3333-4444-555555555555");
  open_node (f);
  /* UID_2 has two names, so that it has none. */
  assert_listing (f->table,
                  "_/" UID_2
                  "/nginx:11 _/_/box:14 _/_/dddddddddddd:13 default/web/nginx:10 kube-system/etcd-node-1/etcd:12");
  put (f, 15, IN_POD ("44444444-2222-3333-4444-555555555555", ID_E), "");
  assert_listing (f->table, "_/" UID_2 "/nginx:11 _/_/box:14 _/_/dddddddddddd:13 default/web~11111111-222/nginx:10 "
                            "default/web~44444444-222/eeeeeeeeeeee:15 kube-system/etcd-node-1/etcd:12");
  fixture_kill (f, 10);
  assert_listing (
      f->table, "_/" UID_2
                "/nginx:11 _/_/box:14 _/_/dddddddddddd:13 default/web/eeeeeeeeeeee:15 kube-system/etcd-node-1/etcd:12");
}

/* In its own cgroup a container may make whatever it likes; mounts can be made to look like the kubelet's. */
static void
nobody_comes_into_another_pod (void **state)
{
  Fixture *f = *state;

  put_init (f);
  put_log_folder (f, "default_web_" UID_1);
  put_log_folder (f, "shop_web_" UID_2);
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, "0::/kubepods/pod" UID_2 "/" ID_B "/kubepods/pod" UID_1 "/" ID_C "\n",
       MOUNT ("0:99", UID_1, "nginx", "0123abce"));
  put (f, 12, "0::/kubepods/pod" UID_2 "/" ID_D "\n", MOUNT ("0:98", UID_1, "nginx", "0123abcf"));
  open_node (f);
  assert_listing (f->table, "default/web/nginx:10 shop/web/nginx:12 shop/web/nginx~cccccccccccc:11");
}

static void
each_pod_has_its_sandbox (void **state)
{
  const PfsTableOptions options = { .scope = PFS_SCOPE_NODE, .sandbox = true };
  Fixture *f = *state;

  put_node (f);
  put (f, 20, IN_POD (UID_1, ID_E), "");
  fixture_state (f, 20, "pause", 5, 'S');
  put (f, 21, IN_POD (UID_2, "ffffffffffff6666666666666666666666666666666666666666666666666666"), "");
  fixture_state (f, 21, "pause", 6, 'S');
  fixture_open (f, &options);
  assert_listing (
      f->table,
      "_/_/box:14 _/_/dddddddddddd:13 default/web/nginx:10 default/web/pause:20 kube-system/etcd-node-1/etcd:12 "
      "shop/web/nginx:11 shop/web/pause:21");
  g_clear_pointer (&f->table, pfs_table_unref);
  g_clear_pointer (&f->proc, pfs_proc_unref);
  open_pod (f, "shop/web");
  assert_listing (f->table, "nginx:11");
}

/* A docker container shows a mount like the kubelet's and is newer: the cgroup vouches for the other one. */
static void
the_cgroup_vouches_for_a_name (void **state)
{
  Fixture *f = *state;

  put_init (f);
  put_log_folder (f, "default_web_" UID_1);
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, "0::/docker/" ID_B "\n", MOUNT ("0:99", UID_1, "nginx", "0123abce"));
  open_node (f);
  assert_listing (f->table, "default/web/nginx:10 default/web/nginx~bbbbbbbbbbbb:11");
}

/* A container without a pod makes cgroups as kind has them, and mounts that vouch for its name: the outer one has it.
 */
static void
an_outer_container_keeps_its_name (void **state)
{
  Fixture *f = *state;

  put_init (f);
  put_log_folder (f, "default_web_" UID_1);
  put (f, 10, IN_POD (UID_1, ID_A), MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, "0::/docker/" ID_B "/kubepods/pod" UID_1 "/" ID_C "\n", MOUNT ("254:0", UID_1, "nginx", "0123abce"));
  open_node (f);
  assert_listing (f->table, "default/web/nginx:10 default/web/nginx~cccccccccccc:11");
}

/* Our own pod's cgroup is hidden from us by our cgroup namespace: what is beside us is of our pod. */
static void
beside_us_is_our_pod (void **state)
{
  Fixture *f = *state;
  g_autofree char *self = g_strdup_printf ("%s/self", f->dir);

  put_init (f);
  put_log_folder (f, "default_web_" UID_1);
  put_log_folder (f, "shop_web_" UID_2);
  put (f, 9, "0::/\n", MOUNT ("254:0", UID_1, "peerfs", "0123abc0"));
  put (f, 10, "0::/../cri-containerd-" ID_A ".scope\n", MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  put (f, 11, "0::/../cri-containerd-" ID_B ".scope\n", MOUNT ("0:99", UID_2, "nginx", "0123abce"));
  put (f, 12, "0::/../../pod" UID_2 "/cri-containerd-" ID_C ".scope\n", MOUNT ("254:0", UID_2, "nginx", "0123abcf"));
  assert_return_code (symlink ("9", self), errno);
  open_node (f);
  assert_listing (f->table,
                  "default/web/nginx:10 default/web/nginx~bbbbbbbbbbbb:11 default/web/peerfs:9 shop/web/nginx:12");
}

static void
a_pod_is_no_node (void **state)
{
  Fixture *f = *state;

  put (f, 1, "0::/../cri-containerd-" ID_A ".scope\n", "");
  put (f, 10, "0::/../cri-containerd-" ID_B ".scope\n", MOUNT ("254:0", UID_1, "nginx", "0123abcd"));
  open_node (f);
  assert_listing (f->table, "_/" UID_1 "/nginx:10 _/_/aaaaaaaaaaaa:1");
  assert_false (pfs_table_shows_node (f->table));
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, fixture_setup, fixture_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (names_are_unique_in_a_pod),
    CASE (groups_are_found),
    CASE (one_pod_is_flat),
    CASE (all_pods_are_known),
    CASE (without_folders_the_uid_is_the_name),
    CASE (reads_links_of_the_nodes_root),
    CASE (asks_no_remote_file_system),
    CASE (two_pods_of_one_name_are_told_apart),
    CASE (nobody_comes_into_another_pod),
    CASE (each_pod_has_its_sandbox),
    CASE (the_cgroup_vouches_for_a_name),
    CASE (an_outer_container_keeps_its_name),
    CASE (beside_us_is_our_pod),
    CASE (a_pod_is_no_node),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
