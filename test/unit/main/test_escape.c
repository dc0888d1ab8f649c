/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "main/escape.h"

static void
assert_json (const char *bytes, const char *wanted)
{
  g_autoptr (GString) out = g_string_new (NULL);
  pfs_escape_json (out, bytes);
  assert_true (g_utf8_validate (out->str, (gssize) out->len, NULL));
  assert_string_equal (out->str, wanted);
}

static void
assert_word (const char *bytes, const char *wanted)
{
  g_autofree char *word = pfs_escape_word (bytes);
  assert_string_equal (word, wanted);
}

static void
json_is_valid_whatever_the_bytes (void **state)
{
  (void) state;
  assert_json ("", "\"\"");
  assert_json ("nginx", "\"nginx\"");
  assert_json ("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
  assert_json ("\n\t\x1b[2J\x7f", "\"\\u000a\\u0009\\u001b[2J\\u007f\"");
  assert_json ("\xff\xfe!", "\"\xef\xbf\xbd\xef\xbf\xbd!\"");
  assert_json ("caf\xc3\xa9", "\"caf\xc3\xa9\"");
  assert_json ("\xc2\x9b", "\"\\u009b\"");                                  /* a control sequence in eight bits */
  assert_json ("\xe2\x80\xae", "\"\\u202e\"");                              /* right to left from here */
  assert_json ("\xf3\xa0\x81\x81", "\"\\udb40\\udc41\"");                   /* a tag: invisible, beyond 16 bits */
  assert_json ("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* half a surrogate pair */
  assert_json ("cut \xe2\x80", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
}

static void
words_never_break_a_table (void **state)
{
  (void) state;
  assert_word ("", "-");
  assert_word ("nginx", "nginx");
  assert_word ("a b", "a\\x20b");
  assert_word ("a\\b", "a\\x5cb");
  assert_word ("\x1b]0;x\x07", "\\x1b]0;x\\x07");
  assert_word ("caf\xc3\xa9", "caf\xc3\xa9");
  assert_word ("\xc2\xa0", "\\xc2\\xa0"); /* a blank that is not U+0020 */
  assert_word ("\xe2\x80\xae", "\\xe2\\x80\\xae");
  assert_word ("\xff", "\\xff");
}

static void
lines_stay_one_line (void **state)
{
  (void) state;
  g_autofree char *line = pfs_escape_line ("no container is named 'a\nb\r': \\x");
  assert_string_equal (line, "no container is named 'a\\x0ab\\x0d': \\x");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (json_is_valid_whatever_the_bytes),
    cmocka_unit_test (words_never_break_a_table),
    cmocka_unit_test (lines_stay_one_line),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
