/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "peerfs/base/name.h"
#include "peerfs/parse/environ.h"

#define PARSE(text) parse (text, sizeof (text) - 1)

static PfsEnviron *
parse (const char *text, gsize len)
{
  g_autoptr (GBytes) content = g_bytes_new (text, len);

  return pfs_environ_parse (content);
}

static void
assert_value (const PfsEnviron *env, const char *name, const char *value, gsize len)
{
  gsize found_len = G_MAXSIZE;
  const char *found = pfs_environ_value (env, name, &found_len);

  assert_non_null (found);
  assert_int_equal (found_len, len);
  if (len > 0)
    assert_memory_equal (found, value, len);
}

static void
test_plain (void **state G_GNUC_UNUSED)
{
  g_autoptr (PfsEnviron) env = PARSE ("PATH=/bin:/usr/bin\0EMPTY=\0A=b=c\0NL=x\ny\xff\0");
  gsize len = 7;

  assert_int_equal (env->names->len, 4);
  assert_string_equal (env->names->pdata[0], "PATH");
  assert_string_equal (env->names->pdata[3], "NL");
  assert_value (env, "PATH", "/bin:/usr/bin", 13);
  assert_value (env, "EMPTY", "", 0);
  assert_value (env, "A", "b=c", 3);
  assert_value (env, "NL", "x\ny\xff", 4);
  assert_null (pfs_environ_value (env, "path", &len));
  assert_null (pfs_environ_value (env, "", &len));
  assert_int_equal (len, 7);
}

static void
test_first_wins (void **state G_GNUC_UNUSED)
{
  g_autoptr (PfsEnviron) env = PARSE ("A=1\0B=2\0A=3\0a/b=4\0a%2Fb=5\0");

  assert_int_equal (env->names->len, 3);
  assert_value (env, "A", "1", 1);
  assert_value (env, "a%2Fb", "4", 1);
}

static void
test_odd_names (void **state G_GNUC_UNUSED)
{
  g_autoptr (PfsEnviron) env = PARSE ("=empty\0.=dot\0..=dots\0a/b=slash\0 =space\0BASH_FUNC_x%%=() { :; }\0");

  assert_int_equal (env->names->len, 6);
  assert_value (env, "%", "empty", 5);
  assert_value (env, "%2E", "dot", 3);
  assert_value (env, "%2E%2E", "dots", 4);
  assert_value (env, "a%2Fb", "slash", 5);
  assert_value (env, " ", "space", 5);
  assert_value (env, "BASH_FUNC_x%%", "() { :; }", 9);
}

/* What setproctitle leaves: a title, the tail of what was there, NULs. */
static void
test_garbage (void **state G_GNUC_UNUSED)
{
  g_autoptr (PfsEnviron) title = PARSE ("nginx: master process nginx\0\0\0\0in:/sbin\0HOME=/root\0\0\0");
  g_autoptr (PfsEnviron) cut = PARSE ("A=1\0B=tail");
  g_autoptr (PfsEnviron) nothing = parse (NULL, 0);
  g_autoptr (PfsEnviron) nuls = PARSE ("\0\0\0");
  g_autoptr (PfsEnviron) equals = PARSE ("=\0=");

  assert_int_equal (title->names->len, 1);
  assert_value (title, "HOME", "/root", 5);
  assert_int_equal (cut->names->len, 2);
  assert_value (cut, "B", "tail", 4);
  assert_int_equal (nothing->names->len, 0);
  assert_int_equal (nuls->names->len, 0);
  assert_int_equal (equals->names->len, 1);
  assert_value (equals, "%", "", 0);
}

/* A title is written from the start. */
static void
test_overwritten (void **state G_GNUC_UNUSED)
{
  g_autoptr (PfsEnviron) whole = PARSE ("A=1\0garbage\0B=2\0");
  g_autoptr (PfsEnviron) none = parse (NULL, 0);
  g_autoptr (PfsEnviron) all = PARSE ("\0\0\0");
  g_autoptr (PfsEnviron) some = PARSE (" nginx -g daemon off;\0\0in:/sbin\0HOME=/root\0");

  assert_false (pfs_environ_overwritten (whole));
  assert_false (pfs_environ_overwritten (none));
  assert_true (pfs_environ_overwritten (all));
  assert_true (pfs_environ_overwritten (some));
  assert_int_equal (some->names->len, 1);
}

static void
test_long_names (void **state G_GNUC_UNUSED)
{
  g_autofree char *longest = g_strnfill (NAME_MAX, 'N');
  g_autofree char *text = g_strdup_printf ("%s=1%cX%s=2", longest, '.', longest);
  g_autoptr (PfsEnviron) env = NULL;

  text[NAME_MAX + 2] = '\0';
  env = parse (text, (gsize) NAME_MAX * 2 + 6);
  assert_int_equal (env->names->len, 1);
  assert_value (env, longest, "1", 1);
}

static void
test_bounded (void **state G_GNUC_UNUSED)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (PfsEnviron) env = NULL;

  for (guint i = 0; text->len + 16 < PFS_ENVIRON_MAX; i++) {
    g_string_append_printf (text, "%x=", i);
    g_string_append_c (text, '\0');
  }
  env = parse (text->str, text->len);
  assert_int_equal (env->names->len, 65536);
}

static void
test_content (void **state G_GNUC_UNUSED)
{
  g_autoptr (GBytes) content = g_bytes_new ("A=1", 3);
  g_autoptr (PfsEnviron) env = pfs_environ_parse (content);
  const char *start = g_bytes_get_data (content, NULL);
  gsize len;

  assert_ptr_equal (env->content, content);
  assert_ptr_equal (pfs_environ_value (env, "A", &len), start + 2);
}

/* Our own environment: getenv(3) is the oracle. */
static void
test_own (void **state G_GNUC_UNUSED)
{
  g_autofree char *text = NULL;
  g_autoptr (PfsEnviron) env = NULL;
  gsize len;

  assert_true (g_file_get_contents ("/proc/self/environ", &text, &len, NULL));
  env = parse (text, len);
  for (guint i = 0; i < env->names->len; i++) {
    const char *name = env->names->pdata[i], *expected = g_getenv (name);

    assert_true (pfs_name_valid (name));
    if (expected)
      assert_value (env, name, expected, strlen (expected));
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_plain),   cmocka_unit_test (test_first_wins),  cmocka_unit_test (test_odd_names),
    cmocka_unit_test (test_garbage), cmocka_unit_test (test_overwritten), cmocka_unit_test (test_long_names),
    cmocka_unit_test (test_bounded), cmocka_unit_test (test_content),     cmocka_unit_test (test_own),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
