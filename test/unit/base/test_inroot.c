/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths below a root: the kernel's own resolution in a chroot is the oracle wherever there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"

typedef struct {
  char *dir;
  int fd; /* of dir/jail, the root of all paths */
} Tree;

static int
setup (void **state)
{
  Tree *t = g_new0 (Tree, 1);

  t->dir = g_dir_make_tmp ("pfs-inroot-XXXXXX", NULL);
  g_autofree char *jail = g_strconcat (t->dir, "/jail", NULL);
  g_autofree char *outside = g_strconcat (t->dir, "/outside", NULL);
  assert_return_code (chmod (t->dir, 0755), errno);
  assert_return_code (mkdir (jail, 0755), errno);
  assert_return_code (mkdir (outside, 0755), errno);
  t->fd = open (jail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = t;
  return t->fd < 0;
}

static int
remove_one (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void) st, (void) type, (void) ftw;
  return remove (path);
}

static int
teardown (void **state)
{
  Tree *t = *state;

  close (t->fd);
  nftw (t->dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
  g_free (t->dir);
  g_free (t);
  return 0;
}

static void
make_dir (Tree *t, const char *path)
{
  assert_return_code (mkdirat (t->fd, path, 0755), errno);
}

static void
make_file (Tree *t, const char *path)
{
  pfs_autofd fd = openat (t->fd, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  assert_return_code (fd, errno);
}

static void
make_link (Tree *t, const char *path, const char *target)
{
  assert_return_code (symlinkat (target, t->fd, path), errno);
}

/* etc/{passwd,alt -> /usr/share} run/sock usr/share/data var/run -> /run, and links of all sorts in a/b. */
static void
make_tree (Tree *t)
{
  static const char *const dirs[] = { "etc", "run", "usr", "usr/share", "var", "a", "a/b", "a/b/c" };

  for (size_t i = 0; i < G_N_ELEMENTS (dirs); i++)
    make_dir (t, dirs[i]);
  make_file (t, "etc/passwd");
  make_file (t, "run/sock");
  make_file (t, "usr/share/data");
  make_file (t, "a/b/file");
  make_file (t, "a/passwd");
  make_link (t, "var/run", "/run");
  make_link (t, "etc/alt", "../usr/share");
  make_link (t, "a/b/self", "self");
  make_link (t, "a/b/up", "..");
  make_link (t, "a/b/abs", "/usr/share");
  make_link (t, "a/b/gone", "nowhere");
}

/* --- pfs_inroot_open --- */

static void
test_open (void **state)
{
  Tree *t = *state;
  struct stat a, b;

  make_tree (t);
  pfs_autofd file = pfs_inroot_open (t->fd, "/a//b/file", O_RDONLY);
  assert_return_code (file, errno);
  assert_int_equal (fcntl (file, F_GETFD), FD_CLOEXEC);
  assert_return_code (fstat (file, &a), errno);
  assert_return_code (fstatat (t->fd, "a/b/file", &b, 0), errno);
  assert_int_equal (a.st_ino, b.st_ino);

  static const char *const roots[] = { "", "/", "///", ".", "..", "/../.." };
  for (size_t i = 0; i < G_N_ELEMENTS (roots); i++) {
    pfs_autofd root = pfs_inroot_open (t->fd, roots[i], O_PATH | O_DIRECTORY);
    assert_return_code (root, errno);
    assert_return_code (fstat (root, &a), errno);
    assert_return_code (fstat (t->fd, &b), errno);
    assert_int_equal (a.st_ino, b.st_ino);
  }
}

static void
test_open_follows_nothing (void **state)
{
  Tree *t = *state;

  make_tree (t);
  assert_int_equal (pfs_inroot_open (t->fd, "var/run", O_RDONLY), -ELOOP);
  assert_int_equal (pfs_inroot_open (t->fd, "var/run/sock", O_RDONLY), -ELOOP);
  assert_int_equal (pfs_inroot_open (t->fd, "a/b/up/b/file", O_RDONLY), -ELOOP);
  assert_int_equal (pfs_inroot_open (t->fd, "none", O_RDONLY), -ENOENT);
  assert_int_equal (pfs_inroot_open (t->fd, "a/b/file/x", O_RDONLY), -ENOTDIR);
  assert_int_equal (pfs_inroot_open (t->fd, "a/b/file", O_RDONLY | O_DIRECTORY), -ENOTDIR);

  pfs_autofd link = pfs_inroot_open (t->fd, "var/run", O_PATH | O_NOFOLLOW);
  struct stat st;
  assert_return_code (fstat (link, &st), errno);
  assert_true (S_ISLNK (st.st_mode));

  pfs_autofd proc = open ("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal (pfs_inroot_open (proc, "self/root", O_PATH), -ELOOP);
}

/* A path of depth directories with the same long name; it cannot be made or opened by one system call. */
static char *
make_deep (Tree *t, guint depth)
{
  g_autofree char *name = g_strnfill (200, 'd');
  GString *path = g_string_new (NULL);
  pfs_autofd at = fcntl (t->fd, F_DUPFD_CLOEXEC, 0);

  for (guint i = 0; i < depth; i++) {
    assert_return_code (mkdirat (at, name, 0755), errno);
    int next = openat (at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_return_code (next, errno);
    close (at);
    at = next;
    g_string_append_printf (path, "/%s", name);
  }
  assert_return_code (mkdirat (at, "end", 0755), errno);
  assert_return_code (symlinkat ("../../end", at, "link"), errno);
  return g_string_free (path, FALSE);
}

static void
remove_deep (Tree *t, guint depth)
{
  g_autofree char *name = g_strnfill (200, 'd');

  for (guint i = depth; i-- > 0;) {
    pfs_autofd at = fcntl (t->fd, F_DUPFD_CLOEXEC, 0);
    for (guint k = 0; k < i; k++) {
      int next = openat (at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
      close (at);
      at = next;
    }
    pfs_autofd last = openat (at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    unlinkat (last, "end", AT_REMOVEDIR);
    unlinkat (last, "link", 0);
    assert_return_code (unlinkat (at, name, AT_REMOVEDIR), errno);
  }
}

static void
test_longer_than_path_max (void **state)
{
  Tree *t = *state;
  g_autofree char *deep = make_deep (t, 60);
  g_autofree char *end = g_strconcat (deep, "//end", NULL);
  g_autofree char *physical = NULL;
  g_autofree char *expected = g_strconcat (deep, "/end", NULL);
  g_autofree char *missing = g_strconcat (deep, "/missing", NULL);

  assert_true (strlen (deep) > 2 * PATH_MAX);
  pfs_autofd fd = pfs_inroot_open (t->fd, end, O_PATH | O_DIRECTORY);
  assert_return_code (fd, errno);
  assert_int_equal (pfs_inroot_open (t->fd, missing, O_PATH), -ENOENT);
  assert_int_equal (pfs_inroot_physical (t->fd, end, NULL, &physical), 0);
  assert_string_equal (physical, expected);

  /* Links there still work: a short way down from a long one. */
  g_autofree char *target = NULL;
  assert_int_equal (pfs_inroot_contain (t->fd, deep, "end/../end", 0, &target), 0);
  assert_string_equal (target, "end");
  g_clear_pointer (&target, g_free);
  assert_int_equal (pfs_inroot_contain (t->fd, physical, "/", 0, &target), 0);
  assert_int_equal (strlen (target), 61 * 3 - 1);
  remove_deep (t, 60);
}

static void
test_component_longer_than_path_max (void **state)
{
  Tree *t = *state;
  g_autofree char *name = g_strnfill (PATH_MAX + 10, 'n');
  g_autofree char *physical = NULL;

  assert_int_equal (pfs_inroot_open (t->fd, name, O_PATH), -ENAMETOOLONG);
  assert_int_equal (pfs_inroot_physical (t->fd, name, NULL, &physical), -ENAMETOOLONG);
  assert_null (physical);
}

/* --- pfs_inroot_physical --- */

static void
assert_physical (Tree *t, const char *path, int r, const char *expected)
{
  g_autofree char *physical = NULL;
  int found = pfs_inroot_physical (t->fd, path, NULL, &physical);

  if (found != r)
    fail_msg ("%s: %d, not %d", path, found, r);
  if (!expected) {
    assert_null (physical);
    return;
  }
  assert_string_equal (physical, expected);
}

static void
test_physical (void **state)
{
  Tree *t = *state;

  make_tree (t);
  assert_physical (t, "", 0, "/");
  assert_physical (t, "/", 0, "/");
  assert_physical (t, "/../..", 0, "/");
  assert_physical (t, "/var/run/sock", 0, "/run/sock");
  assert_physical (t, "var/run/../etc/alt/data", 0, "/usr/share/data");
  assert_physical (t, "/a/b/up/../a/./b//c/", 0, "/a/b/c");
  assert_physical (t, "/a/b/abs/..", 0, "/usr");
  assert_physical (t, "/a/b/file", 0, "/a/b/file");
  assert_physical (t, "/a/b/file/", -ENOTDIR, NULL);
  assert_physical (t, "/a/b/file/..", -ENOTDIR, NULL);
  assert_physical (t, "/a/b/file/.", -ENOTDIR, NULL);
  assert_physical (t, "/a/b/gone", -ENOENT, NULL);
  assert_physical (t, "/a/b/gone/..", -ENOENT, NULL);
  assert_physical (t, "/a/b/self", -ELOOP, NULL);
  assert_physical (t, "/a/b/self/..", -ELOOP, NULL);
  assert_physical (t, "/none/../etc", -ENOENT, NULL);
}

static void
test_forty_links (void **state)
{
  Tree *t = *state;

  make_file (t, "chain0");
  for (int i = 1; i <= 42; i++) {
    g_autofree char *name = g_strdup_printf ("chain%d", i);
    g_autofree char *target = g_strdup_printf ("%schain%d", i % 2 ? "/" : "", i - 1);
    make_link (t, name, target);
  }
  for (int i = 0; i <= 42; i++) {
    g_autofree char *name = g_strdup_printf ("chain%d", i);
    pfs_autofd fd = kernel_open (t->fd, name, O_PATH);
    assert_physical (t, name, fd < 0 ? fd : 0, fd < 0 ? NULL : "/chain0");
    assert_int_equal (fd < 0, i > 40);
  }
}

/* A caller of another user gets no further than its own search permission. */
static void
test_physical_as_another_user (void **state)
{
  Tree *t = *state;
  g_autofree char *target = NULL;

  assert_int_equal (geteuid (), 0);
  make_tree (t);
  make_dir (t, "secret");
  make_dir (t, "secret/sub");
  assert_return_code (fchmodat (t->fd, "secret", 0700, 0), errno);
  setfsgid (12345);
  setfsuid (12345);
  assert_physical (t, "/etc/alt/data", 0, "/usr/share/data");
  assert_physical (t, "/secret", 0, "/secret");
  assert_physical (t, "/secret/sub", -EACCES, NULL);
  assert_physical (t, "/secret/none", -EACCES, NULL);
  assert_physical (t, "/secret/..", -EACCES, NULL);
  int exists = pfs_inroot_contain (t->fd, "/a", "/secret/sub/../../etc", 0, &target);
  setfsuid (0);
  setfsgid (0);
  assert_int_equal (exists, 0);
  assert_string_equal (target, "../secret/sub/.");
}

/* What lies below a directory on the device to avoid does not exist; the directory itself does. A closed one neither.
 */
static void
test_avoid (void **state)
{
  pfs_autofd root = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GHashTable) closed = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char *physical = NULL;
  g_autofree char *target = NULL;
  struct stat proc;

  (void) state;
  assert_return_code (stat ("/proc", &proc), errno);
  const PfsAvoid avoid = { .device = proc.st_dev };
  assert_int_equal (pfs_inroot_contain (root, "/", "proc/sys/../../etc", &avoid, &target), 0);
  assert_string_equal (target, "proc/sys/.");

  g_hash_table_add (closed, "/proc/sys");
  assert_int_equal (pfs_inroot_physical (root, "/proc/sys/kernel", NULL, &physical), 0);
  g_clear_pointer (&physical, g_free);
  assert_int_equal (pfs_inroot_physical (root, "/proc/sys", closed, &physical), -ENOENT);
  assert_int_equal (pfs_inroot_physical (root, "/proc/../proc/./sys/kernel", closed, &physical), -ENOENT);
  assert_null (physical);
  assert_int_equal (pfs_inroot_physical (root, "/proc/bus", closed, &physical), 0);
}

/* --- pfs_inroot_contain --- */

static void
assert_contained_by (int rootfd, const char *dir, const char *target, const char *expected)
{
  g_autofree char *found = NULL;
  int r = pfs_inroot_contain (rootfd, dir, target, 0, &found);

  if (r != 0)
    fail_msg ("%s in %s: %d", target, dir, r);
  if (strcmp (found, expected) != 0)
    fail_msg ("%s in %s: %s, not %s", target, dir, found, expected);
}

static void
assert_contained (Tree *t, const char *dir, const char *target, const char *expected)
{
  g_autofree char *found = NULL;

  assert_contained_by (t->fd, dir, target, expected);
  if (pfs_inroot_contain (-1, dir, target, 0, &found) != -EAGAIN)
    assert_contained_by (-1, dir, target, expected);
}

/* The two strings decide: the tree is not looked at. */
static void
assert_contained_blindly (Tree *t, const char *dir, const char *target, const char *expected)
{
  assert_contained_by (t->fd, dir, target, expected);
  assert_contained_by (-1, dir, target, expected);
}

static void
test_contain (void **state)
{
  Tree *t = *state;

  make_tree (t);
  assert_contained_blindly (t, "/a/b", "c/x", "c/x");
  assert_contained_blindly (t, "/a/b", "./c//x/", "./c//x/");
  assert_contained_blindly (t, "/a/b", "..x/...", "..x/...");
  assert_contained_blindly (t, "/var", "/run", "../run");
  assert_contained_blindly (t, "/", "/run", "run");
  assert_contained_blindly (t, "/", "/", ".");
  assert_contained_blindly (t, "/a/b", "/", "../..");
  assert_contained_blindly (t, "/a/b", "///run//sock/", "../../run//sock/");
  assert_contained_blindly (t, "/a/b", "..", "..");
  assert_contained_blindly (t, "/a/b", "../..", "../..");
  assert_contained_blindly (t, "/a/b", "../../../../etc", "../../etc");
  assert_contained_blindly (t, "/a/b", "./.././../../etc/", "../../etc/");
  assert_contained_blindly (t, "/", "..", ".");
  assert_contained_blindly (t, "/", "../../etc", "etc");
  assert_contained_blindly (t, "/a/b", "/../../etc", "../../etc");
}

static void
test_contain_up_after_something (void **state)
{
  Tree *t = *state;

  make_tree (t);
  g_autofree char *blind = NULL;
  assert_int_equal (pfs_inroot_contain (-1, "/a/b", "c/..", 0, &blind), -EAGAIN);
  assert_null (blind);
  assert_contained (t, "/a/b", "c/..", ".");
  assert_contained (t, "/a/b", "c/../file", "file");
  assert_contained (t, "/a/b", "abs/../share/data", "../../usr/share/data");
  assert_contained (t, "/a/b", "abs/../../../../x", "../../x");
  assert_contained (t, "/a/b", "/var/run/../etc/passwd", "../../etc/passwd");
  assert_contained (t, "/a/b", "up/../etc/", "../../etc/");
  /* What does not resolve fails at the same place. */
  assert_contained (t, "/a/b", "none/../file", "none/.");
  assert_contained (t, "/a/b", "c/none/../file", "c/none/.");
  assert_contained (t, "/a/b", "file/../file", "file/.");
  assert_contained (t, "/a/b", "gone/../file", "nowhere/.");

  g_autofree char *target = NULL;
  assert_int_equal (pfs_inroot_contain (t->fd, "/a/b", "self/../x", 0, &target), -ELOOP);
  assert_null (target);
}

/* The link itself counts among the forty. */
static void
test_contain_counts_links (void **state)
{
  Tree *t = *state;
  g_autofree char *target = NULL;

  make_dir (t, "d");
  make_file (t, "x");
  make_link (t, "c1", "d");
  for (int i = 2; i <= 41; i++) {
    g_autofree char *name = g_strdup_printf ("c%d", i);
    g_autofree char *to = g_strdup_printf ("c%d", i - 1);
    make_link (t, name, to);
  }
  assert_contained (t, "/", "c39/../x", "x");
  assert_int_equal (pfs_inroot_contain (t->fd, "/", "c40/../x", 0, &target), -ELOOP);
  assert_int_equal (pfs_inroot_contain (t->fd, "/", "c41/../x", 0, &target), -ELOOP);
}

static char *
repeat (const char *what, guint times)
{
  GString *all = g_string_new (NULL);

  while (times-- > 0)
    g_string_append (all, what);
  return g_string_free (all, FALSE);
}

/* What links lead through is no more than one path may have: a chain of long links would keep us busy for minutes. */
static void
test_contain_steps (void **state)
{
  Tree *t = *state;
  g_autofree char *half = repeat ("x/../", PATH_MAX / 8);
  g_autofree char *deep = make_deep (t, 30);
  g_autofree char *up = repeat ("../", 30);
  g_autofree char *target = NULL;

  make_dir (t, "x");
  make_link (t, "half", half);
  g_autofree char *once = g_strconcat (half, "x/../x", NULL);
  g_autofree char *twice = g_strconcat ("half/../", half, "x/../x", NULL);
  assert_contained (t, "/", once, "x");
  assert_int_equal (pfs_inroot_contain (t->fd, "/", twice, 0, &target), -ELOOP);
  assert_null (target);

  /* "." over and over asks one thing. */
  g_autofree char *dots = repeat ("./", PATH_MAX / 2 - 2);
  g_autofree char *after_dots = g_strconcat ("dots/../", half, "x/../x", NULL);
  make_link (t, "dots", dots);
  assert_contained (t, "/x", "../dots/x/../x", "../x");
  assert_contained (t, "/", after_dots, "x");

  /* The way there is not the link's. */
  g_autofree char *back = g_strconcat ("end/../", up, "x/../x", NULL);
  g_autofree char *climbed = g_strconcat (up, "x", NULL);
  assert_contained (t, deep, back, climbed);
  remove_deep (t, 30);
}

/* A target of nearly PATH_MAX bytes has no room for a way up before it: it is shortened. */
static void
test_contain_long (void **state)
{
  Tree *t = *state;
  GString *dots = g_string_new ("/");
  g_autofree char *target = NULL;

  make_tree (t);
  while (dots->len < PATH_MAX - 10)
    g_string_append (dots, "./");
  g_autofree char *dotted = g_strconcat (dots->str, "run", NULL);
  g_autofree char *absent = g_strconcat ("/none/", dots->str + 6, "x", NULL);
  g_string_free (dots, TRUE);
  assert_int_equal (pfs_inroot_contain (-1, "/a/b/c", dotted, 0, &target), -EAGAIN);
  assert_contained (t, "/a/b/c", dotted, "../../../run");
  assert_contained (t, "/a/b/c", absent, "../../../none/.");

  g_autofree char *name = g_strnfill (PATH_MAX - 2, 'n');
  g_autofree char *absolute = g_strconcat ("/", name, NULL);
  assert_int_equal (pfs_inroot_contain (t->fd, "/a/b/c", absolute, 0, &target), -ENAMETOOLONG);
  assert_null (target);
}

/* A link made there leads a caller, who is shown contained links, where the kernel goes in the jail. */
static void
check_link (Tree *t, const char *dir, const char *target)
{
  g_autofree char *link = g_strdup_printf ("%s%sprobe", dir + 1, dir[1] ? "/" : "");
  struct stat expected, found;

  unlinkat (t->fd, link, 0);
  assert_return_code (symlinkat (target, t->fd, link), errno);
  pfs_autofd right = kernel_open (t->fd, link, O_PATH);
  pfs_autofd fd = caller_open (t->fd, link);
  if (MIN (fd, 0) != MIN (right, 0))
    fail_msg ("%s in %s: %d, not %d", target, dir, MIN (fd, 0), MIN (right, 0));
  if (fd < 0)
    return;
  assert_return_code (fstat (fd, &found), errno);
  assert_return_code (fstat (right, &expected), errno);
  if (found.st_ino != expected.st_ino || found.st_dev != expected.st_dev)
    fail_msg ("%s in %s leads to another file", target, dir);
}

static void
test_contain_like_the_kernel (void **state)
{
  static const char *const parts[] = {
    "..", ".", "", "a", "b", "c", "etc", "alt", "up", "self", "gone", "file", "run"
  };
  static const char *const dirs[] = { "/", "/a", "/a/b", "/a/b/c", "/etc" };
  Tree *t = *state;
  guint32 random = 12345;

  make_tree (t);
  make_link (t, "a/b/c/up", "../up");
  make_link (t, "a/b/c/b", "/a/b");
  make_link (t, "etc/a", "/a/b/c/b/../b");
  for (int i = 0; i < 10000; i++) {
    GString *target = g_string_new (NULL);
    int n = 1 + (int) ((random >> 8) % 7);
    random = random * 1664525 + 1013904223;
    if (random >> 31)
      g_string_append_c (target, '/');
    for (int k = 0; k < n; k++) {
      random = random * 1664525 + 1013904223;
      g_string_append_printf (target, "%s%s", k ? "/" : "", parts[(random >> 8) % G_N_ELEMENTS (parts)]);
    }
    if (target->len > 0)
      check_link (t, dirs[(random >> 16) % G_N_ELEMENTS (dirs)], target->str);
    g_string_free (target, TRUE);
  }
}

typedef struct {
  const char *dir;
  gint stop;
} Mover;

static gpointer
move_out_and_in (gpointer data)
{
  Mover *mover = data;
  g_autofree char *in = g_strconcat (mover->dir, "/jail/m", NULL);
  g_autofree char *out = g_strconcat (mover->dir, "/outside/m", NULL);

  while (!g_atomic_int_get (&mover->stop) && rename (in, out) == 0 && rename (out, in) == 0)
    continue;
  return NULL;
}

/* What is moved out of the root during the walk is not there any more: no error of its own. */
static void
test_moved_out (void **state)
{
  Tree *t = *state;
  Mover mover = { t->dir, 0 };
  GString *path = g_string_new ("m");

  make_dir (t, "m");
  for (int i = 0; i < 300; i++) {
    g_string_append (path, "/d");
    make_dir (t, path->str);
  }
  GThread *thread = g_thread_new ("mover", move_out_and_in, &mover);
  for (int i = 0; i < 20000; i++) {
    pfs_autofd fd = pfs_inroot_open (t->fd, path->str, O_PATH);
    if (fd < 0)
      assert_int_equal (fd, -ENOENT);
  }
  g_atomic_int_set (&mover.stop, 1);
  g_thread_join (thread);
  g_string_free (path, TRUE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_open, setup, teardown),
    cmocka_unit_test_setup_teardown (test_open_follows_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown (test_moved_out, setup, teardown),
    cmocka_unit_test_setup_teardown (test_longer_than_path_max, setup, teardown),
    cmocka_unit_test_setup_teardown (test_component_longer_than_path_max, setup, teardown),
    cmocka_unit_test_setup_teardown (test_physical, setup, teardown),
    cmocka_unit_test_setup_teardown (test_forty_links, setup, teardown),
    cmocka_unit_test_setup_teardown (test_physical_as_another_user, setup, teardown),
    cmocka_unit_test (test_avoid),
    cmocka_unit_test_setup_teardown (test_contain, setup, teardown),
    cmocka_unit_test_setup_teardown (test_contain_up_after_something, setup, teardown),
    cmocka_unit_test_setup_teardown (test_contain_counts_links, setup, teardown),
    cmocka_unit_test_setup_teardown (test_contain_steps, setup, teardown),
    cmocka_unit_test_setup_teardown (test_contain_long, setup, teardown),
    cmocka_unit_test_setup_teardown (test_contain_like_the_kernel, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
