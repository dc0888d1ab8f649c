/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <string.h>
#include <time.h>

#include "peerfs/parse/cgroup.h"
#include "vectors.h"

#define A "605439acbd4fb18c145069289094b17f17e0cfa938f78012d4960bc797305f22"
#define B "73bfe475650de66df8e2affdc98d440dcbe84f8df83b6f75a68a82eb7026136a"
#define U "ac04f3f2-1f2c-11e9-b015-1ebee232acfa"
#define U_ "ac04f3f2_1f2c_11e9_b015_1ebee232acfa"
#define POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" U_ ".slice/"

static const char *
or_dash (const char *s)
{
  return *s ? s : "-";
}

static void
check (const char *text, const char *runtime, const char *id, const char *pod_uid, const char *machine)
{
  PfsCgroup cg;
  bool found;

  memset (&cg, 0x5a, sizeof cg);
  found = pfs_cgroup_parse (text, strlen (text), &cg);
  if (found != (strcmp (id, "-") != 0) || strcmp (or_dash (cg.runtime), runtime) != 0
      || strcmp (or_dash (cg.id), id) != 0 || strcmp (or_dash (cg.pod_uid), pod_uid) != 0
      || (machine && strcmp (or_dash (cg.machine), machine) != 0))
    fail_msg ("%s\n gave %s %s %s %s\n want %s %s %s %s", text, or_dash (cg.runtime), or_dash (cg.id),
              or_dash (cg.pod_uid), or_dash (cg.machine), runtime, id, pod_uid, machine ? machine : "*");
}

static void
check_vector (char **cells)
{
  check (cells[1], cells[2], cells[3], cells[4], NULL);
}

static void
test_vectors (void **state G_GNUC_UNUSED)
{
  assert_true (vectors_run (PFS_FIXTURES "/vectors/cgroup.tsv", 5, check_vector) >= 48);
}

typedef struct {
  const char *path, *runtime, *id, *pod_uid, *machine;
} Row;

static void
check_rows (const Row *rows, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    g_autofree char *v2 = g_strdup_printf ("0::%s\n", rows[i].path);
    g_autofree char *v1 = g_strdup_printf ("12:rdma:/\n5:cpu,cpuacct:%s\n0::/\n", rows[i].path);

    check (v2, rows[i].runtime, rows[i].id, rows[i].pod_uid, rows[i].machine);
    check (v1, rows[i].runtime, rows[i].id, rows[i].pod_uid, rows[i].machine);
  }
}

static void
test_runtimes (void **state G_GNUC_UNUSED)
{
  static const Row rows[] = {
    { POD "cri-containerd-" A ".scope", "containerd", A, U, "-" },
    { POD "crio-" A ".scope/container", "crio", A, U, "-" },
    { POD "docker-" A ".scope/init.scope", "docker", A, U, "-" },
    { POD A, "k8s", A, U, "-" },
    { POD "strange-" A ".scope", "k8s", A, U, "-" },
    { "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" U_ ".slice/cri-containerd-" A ".scope", "containerd",
      A, U, "-" },
    { "/kubepods.slice/kubepods-pod" U_ ".slice:cri-containerd:" A, "containerd", A, U, "-" },
    { "/kubepods.slice/kubepods-pod" U_ ".slice:crio:" A "/app", "crio", A, U, "-" },
    { "/my-pod" U "/" A, "k8s", A, U, "-" },
    { "/mypod" U "/" A, "unknown", A, "-", "-" },
    { "/../../pod" U "/" A, "k8s", A, U, "-" },
    { "/../cri-containerd-" A ".scope", "containerd", A, "-", "-" },
    { "/kubepods/pod" U "/" A " (deleted)", "k8s", A, U, "-" },
    { "/system.slice/nerdctl-" A ".scope", "containerd", A, "-", "-" },
    { "/default/" A, "containerd", A, "-", "-" },
    { "/system.slice:docker:" A, "docker", A, "-", "-" },
    { "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A ".scope", "docker", A, "-", "-" },
    { "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", "podman", A, "-", "-" },
    { "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope/container", "podman", A, "-", "-" },
    { "/libpod_parent/" B "/libpod-" A, "podman", A, "-", "-" },
    { "/system.slice/web.service/libpod-payload-" A, "podman", A, "-", "-" },
    { "/nomad.slice/share.slice/docker-" A ".scope", "docker", A, "-", "-" },
    { "/nomad.slice/share.slice/" U ".web.scope", "unknown", U ".web", "-", "web" },
    { "/nomad/" U ".web/sub", "unknown", U ".web", "-", "web" },
    { "/ecs/cluster/" U "/" A, "ecs", A, "-", "-" },
    { "/ecs/55091c13b8cf4801b88f527601cce204/55091c13b8cf4801b88f527601cce204-3968843217", "ecs",
      "55091c13b8cf4801b88f527601cce204-3968843217", "-", "-" },
    { "/ecstasks.slice/ecstasks-55091c13b8cf4801b88f527601cce204.slice/docker-" A ".scope", "docker", A, "-", "-" },
    { "/garden/good/70eb4ce5-a065-4401-6990-88ed", "garden", "70eb4ce5-a065-4401-6990-88ed", "-", "-" },
    { "/system.slice/garden.service/garden/" U "/sub", "garden", U, "-", "-" },
  };

  check_rows (rows, G_N_ELEMENTS (rows));
}

/* Who may make cgroups chooses the last id of the chain, but none before it. */
static void
test_chains (void **state G_GNUC_UNUSED)
{
  static const struct {
    const char *path, *chain;
    unsigned int depth;
  } rows[] = {
    { POD "cri-containerd-" A ".scope", A, 1 },
    { POD "cri-containerd-" A ".scope/sub/init.scope", A, 1 },
    { POD "cri-containerd-" A ".scope/docker/" B, A "/" B, 2 },
    { POD "cri-containerd-" A ".scope/" A, A "/" A, 2 },
    { "/../cri-containerd-" A ".scope", "../" A, 1 },
    { "/../../pod" U "/" A "/" B "/x", "../" A "/" B, 2 },
    { "/docker/" A "/lxc.payload.demo/libpod-" B ".scope", A "/demo/" B, 3 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = g_strdup_printf ("0::%s\n", rows[i].path);
    PfsCgroup cg;

    assert_true (pfs_cgroup_parse (text, strlen (text), &cg));
    assert_string_equal (cg.chain, rows[i].chain);
    assert_int_equal (cg.depth, rows[i].depth);
    assert_int_equal (cg.outside, g_str_has_prefix (rows[i].path, "/.."));
  }
  PfsCgroup cg;
  assert_false (pfs_cgroup_parse ("0::/..x\n", 8, &cg));
  assert_false (cg.outside);
  assert_false (pfs_cgroup_parse ("1:cpu:/\n0::/..\n", 15, &cg));
  assert_true (cg.outside);
}

/* Longer than any path: what does not fit belongs to the last that does. */
static void
test_long_chain (void **state G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new ("0::");
  PfsCgroup cg;

  for (int i = 0; i < 200; i++)
    g_string_append (text, "/" A);
  g_string_append (text, "/" B "\n");
  assert_true (pfs_cgroup_parse (text->str, text->len, &cg));
  assert_string_equal (cg.id, A);
  assert_int_equal (cg.depth, (PFS_CHAIN_MAX - 1 + 1) / 65);
  assert_int_equal (strlen (cg.chain), cg.depth * 65 - 1);
}

static void
test_machines (void **state G_GNUC_UNUSED)
{
  static const Row rows[] = {
    { "/lxc.payload.demo/system.slice/ssh.service", "lxc", "demo", "-", "demo" },
    { "/lxc.payload.default_c1.x", "lxc", "default_c1.x", "-", "default_c1.x" },
    { "/lxc.payload/demo/init.scope", "lxc", "demo", "-", "demo" },
    { "/lxc/101/ns/init.scope", "lxc", "101", "-", "101" },
    { "/lxc.payload.demo (deleted)", "lxc", "demo", "-", "demo" },
    { "/machine.slice/machine-my\\x2dbox.scope/payload/system.slice/x.service", "nspawn", "my-box", "-", "my-box" },
    { "/machine.slice/systemd-nspawn@my-box.service/payload/init.scope", "nspawn", "my-box", "-", "my-box" },
    { "/machine.slice/machine-lxc\\x2d12\\x2dold.scope/libvirt", "lxc", "lxc-12-old", "-", "lxc-12-old" },
    { "/machine.slice/machine-lxc.scope", "nspawn", "lxc", "-", "lxc" },
    { "/lxc.payload.demo/docker/" A, "docker", A, "-", "-" },
    { "/docker/" A "/lxc.payload.demo", "lxc", "demo", "-", "demo" },
    { "/machine.slice/machine-box.scope/payload/system.slice/docker-" A ".scope", "docker", A, "-", "-" },
  };
  g_autofree char *name = g_strnfill (64, 'n');
  g_autofree char *longer = g_strdup_printf ("0::/lxc.payload.%s", name);
  g_autofree char *fits = g_strdup_printf ("0::/lxc.payload.%s", name + 1);

  check_rows (rows, G_N_ELEMENTS (rows));
  check (longer, "lxc", name, "-", "-");
  check (fits, "lxc", name + 1, "-", name + 1);
}

static void
test_nested (void **state G_GNUC_UNUSED)
{
  static const Row rows[] = {
    { "/docker/" A "/kubelet/kubepods/besteffort/pod" U "/" B, "k8s", B, U, "-" },
    { "/docker/" A "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" U_ ".slice/cri-containerd-" B ".scope",
      "containerd", B, U, "-" },
    { "/docker/" A "/docker/" B, "docker", B, "-", "-" },
    { POD "cri-containerd-" A ".scope/docker/" B "/x", "docker", B, U, "-" },
    { "/docker/" A "/kubelet/kubepods/pod" U, "docker", A, "-", "-" },
    /* what serves an inner container is in the outer one */
    { "/docker/" A "/libpod_parent/conmon", "docker", A, "-", "-" },
    { "/docker-" A ".scope/machine.slice/libpod-conmon-" B ".scope", "docker", A, "-", "-" },
    { "/docker-" A ".scope/machine.slice/machine-box.scope/supervisor", "docker", A, "-", "-" },
    { "/docker-" A ".scope/user.slice/user-0.slice/session-1.scope", "docker", A, "-", "-" },
    { "/docker-" A ".scope/system.slice/nginx.service", "docker", A, "-", "-" },
    { "/docker-" A ".scope/system.slice/" B "-1a2b.service", "docker", A, "-", "-" },
  };

  check_rows (rows, G_N_ELEMENTS (rows));
  check ("13:rdma:/docker/" A "\n12:pids:/docker/" A "/docker/" B "\n1:name=systemd:/docker/" A "/docker/" B "\n",
         "docker", B, "-", "-");
  check ("3:a:/docker/" A "\n2:b:/docker/" B "\n", "docker", A, "-", "-");
  check ("3:a:/system.slice/x.service\n2:b:/\n1:name=systemd:/docker/" A, "docker", A, "-", "-");
}

/* Of a container that was made in another, the outer one's pod counts. */
static void
test_outer_pod (void **state G_GNUC_UNUSED)
{
  static const struct {
    const char *path, *outer_pod;
    bool beside_us;
  } rows[] = {
    { POD "cri-containerd-" A ".scope", U, false },
    { "/docker/" A, "", false },
    { POD "cri-containerd-" A ".scope/kubepods/pod00000000-0000-0000-0000-000000000001/" B, U, false },
    { "/docker/" A "/kubelet/kubepods/pod" U "/" B, U, false },
    { "/../cri-containerd-" A ".scope", "", true },
    { "/../cri-containerd-" A ".scope/docker/" B, "", true },
    { "/../../pod" U "/" A, U, false },
    { "/../../" A, "", false },
    { "/" A, "", false },
    { "/x/../" A, "", false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = g_strdup_printf ("0::%s\n", rows[i].path);
    PfsCgroup cg;

    assert_true (pfs_cgroup_parse (text, strlen (text), &cg));
    assert_string_equal (cg.outer_pod, rows[i].outer_pod);
    assert_int_equal (cg.beside_us, rows[i].beside_us);
  }
}

static void
test_no_container (void **state G_GNUC_UNUSED)
{
  static const char *const paths[] = {
    "/",
    "/init.scope",
    "/..",
    "/kubepods/pod" U,
    POD,
    "/system.slice/containerd.service",
    POD "crio-conmon-" A ".scope",
    "/kubepods/pod" U "/crio-conmon-" A,
    "/libpod_parent/conmon",
    "/libpod_parent/" A,
    "/libpod_parent/" A "/conmon",
    "/machine.slice/libpod-conmon-" A ".scope",
    "/machine.slice/machine-libpod_pod_" A ".slice",
    "/libpod_pod_" A,
    "/user.slice/some-" A ".slice",
    "/lxc.monitor." A,
    "/machine.slice/machine-libpod_pod_" A ".slice/libpod-conmon-" B ".scope",
    "/system.slice/" A ".service",
    "/system.slice/" A "-1a2b3c.service/x",
    "/system.slice/var-lib-docker-containers-" A "-mounts-shm.mount",
    "/user.slice/session-" A ".scope",
    "/system.slice/run-" A ".scope",
    "/user.slice/user-1000.slice/session-3.scope",
    "/machine.slice/buildah-buildah1234567890.scope",
    "/docker/buildkit/q4xv2o7r8yx2o6vbqdcxq1yxk",
    "/docker/" A "f",
    "/docker/x" A,
    "/docker/" A A,
    "/docker/605439ACBD4FB18C145069289094B17F17E0CFA938F78012D4960BC797305F22",
    "/docker/A" A,
    "/docker/" A "Z",
    "/lxc",
    "/lxc.monitor.demo",
    "/lxc.monitor/demo",
    "/lxc.monitor/" A,
    "/lxc.pivot",
    "/lxc.payload.",
    "/lxc.payload.-x",
    "/lxc.payload.a b",
    "/lxc.payload.a\x1b[31m",
    "/lxc/..",
    "/lxc.payload...",
    "/machine.slice/machine-box.scope/supervisor",
    "/machine.slice/systemd-nspawn@box.service/supervisor",
    "/machine.slice/systemd-nspawn@box.service",
    "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/emulator",
    "/machine.slice/machine-.scope",
    "/machine.slice/machine-a\\x2fb.scope",
    "/machine.slice/machine-\\x2e\\x2e.scope",
    "/machine.slice/machine-a\\x00.scope",
    "/machine.slice/machine-a\\x2.scope",
    "/" U,
    "/system.slice/" U,
    "/nomad.slice/share.slice/" U,
    "/nomad.slice/share.slice/" U "..scope/x y",
    "/nomad/" U "..",
    "/nomad/" U "..x",
    "/ecs/" U,
    "/ecs/55091c13b8cf4801b88f527601cce204",
    "/ecs/55091c13b8cf4801b88f527601cce204/55091c13b8cf4801b88f527601cce204",
    "/garden/70eb4ce5-a065-4401-6990-88e",
    "/garden/good",
    "/actions_job",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autofree char *text = g_strdup_printf ("0::%s\n", paths[i]);

    check (text, "-", "-", "-", "-");
  }
}

static void
test_malformed (void **state G_GNUC_UNUSED)
{
  static const char *const texts[] = {
    "",
    "\n",
    ":",
    "::",
    "0:",
    "0::",
    "0::docker/" A,
    "x::/docker/" A,
    "::/docker/" A,
    "-1::/docker/" A,
    "0:/docker/" A,
    "pids: /docker/" A,
  };
  PfsCgroup cg;

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    check (texts[i], "-", "-", "-", "-");
  check ("garbage\n\n0::/docker/" A, "docker", A, "-", "-");
  check ("0::/docker/" A "\r\n", "docker", A, "-", "-");
  assert_false (pfs_cgroup_parse (NULL, 0, &cg));
  assert_false (pfs_cgroup_parse ("0::/docker/" A, 40, &cg));
  assert_string_equal (cg.id, "");
}

/* Paths a hostile container may make long must not take long. */
static void
test_bounded (void **state G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new ("0::/");
  clock_t start = clock ();

  while (text->len < PFS_CGROUP_MAX)
    g_string_append (text, "-pod");
  check (text->str, "-", "-", "-", "-");
  g_string_assign (text, "0::/");
  while (text->len < PFS_CGROUP_MAX)
    g_string_append (text, "abcdef-");
  check (text->str, "-", "-", "-", "-");
  assert_true (clock () - start < 2 * CLOCKS_PER_SEC);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_vectors),    cmocka_unit_test (test_runtimes),     cmocka_unit_test (test_chains),
    cmocka_unit_test (test_long_chain), cmocka_unit_test (test_machines),     cmocka_unit_test (test_nested),
    cmocka_unit_test (test_outer_pod),  cmocka_unit_test (test_no_container), cmocka_unit_test (test_malformed),
    cmocka_unit_test (test_bounded),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
