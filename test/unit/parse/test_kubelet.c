/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>

#include "peerfs/parse/kubelet.h"

#define U "0a1b2c3d-0000-4000-8000-00000000000f"
#define STATIC "0123456789abcdef0123456789abcdef"

static void
reads_what_kubelets_write (void **state G_GNUC_UNUSED)
{
  static const struct {
    const char *name, *namespace, *pod, *uid;
  } rows[] = {
    { "default_web_" U, "default", "web", U },
    { "kube-system_etcd-node-1.example.com_" STATIC, "kube-system", "etcd-node-1.example.com", STATIC },
    { "0_1_" U, "0", "1", U },
    { "a-b_c--d.e_" U, "a-b", "c--d.e", U },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (GStrv) log = pfs_podlog_parse (rows[i].name);
    assert_non_null (log);
    assert_string_equal (log[0], rows[i].namespace);
    assert_string_equal (log[1], rows[i].pod);
    assert_string_equal (log[2], rows[i].uid);
    assert_null (log[3]);
  }
}

static void
takes_nothing_else (void **state G_GNUC_UNUSED)
{
  static const char *const bad[] = {
    "",
    "_",
    "__",
    ".",
    "..",
    "default",
    "default_web",
    "default_web_",
    "default__" U,
    "_web_" U,
    "_/web_" U,
    "default_web" U,
    "default_web_x_" U,
    "default_web_" U "_",
    "default_web_" U "x",
    "default_web_" STATIC "0",
    "default_web_0",
    "default_web_0A1B2C3D-0000-4000-8000-00000000000F",
    "Default_web_" U,
    "default_Web_" U,
    "-a_web_" U,
    "a-_web_" U,
    "a.b_web_" U,
    "default_.web_" U,
    "default_web._" U,
    "default_a..b_" U,
    "default_a.-b_" U,
    "default_.._" U,
    "._web_" U,
    ".._web_" U,
    "default_we/b_" U,
    "default_we b_" U,
    "default_we\nb_" U,
    "default_w\xc3\xa9_" U,
    "default_web~1_" U,
    "default_web_" U "\n",
    " default_web_" U,
  };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_null (pfs_podlog_parse (bad[i]));
}

static void
knows_the_lengths (void **state G_GNUC_UNUSED)
{
  g_autofree char *label = g_strnfill (63, 'n'), *pod = g_strnfill (253, 'p');
  g_autofree char *longest = g_strdup_printf ("%s_%s_" U, label, pod);
  g_autofree char *long_namespace = g_strdup_printf ("n%s_web_" U, label);
  g_autofree char *long_pod = g_strdup_printf ("default_p%s_" U, pod);
  g_auto (GStrv) log = pfs_podlog_parse (longest);

  assert_non_null (log);
  assert_string_equal (log[1], pod);
  assert_null (pfs_podlog_parse (long_namespace));
  assert_null (pfs_podlog_parse (long_pod));
}

static void
knows_uids (void **state G_GNUC_UNUSED)
{
  assert_true (pfs_is_pod_uid (U));
  assert_true (pfs_is_pod_uid (STATIC));
  assert_false (pfs_is_pod_uid (""));
  assert_false (pfs_is_pod_uid ("default/web"));
  assert_false (pfs_is_pod_uid (U "0"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (reads_what_kubelets_write),
    cmocka_unit_test (takes_nothing_else),
    cmocka_unit_test (knows_the_lengths),
    cmocka_unit_test (knows_uids),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
