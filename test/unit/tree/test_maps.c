/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps/ of a fixture whose maps and map_files are this test's own, so that real objects are mapped. */
#include "nodes.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

typedef struct {
  Nodes *n;
  char *dir;
} Maps;

static int
setup (void **state)
{
  Maps *m = g_new0 (Maps, 1);
  g_autofree char *made = g_dir_make_tmp ("pfs-maps-XXXXXX", NULL);
  g_autofree char *map_files = g_strdup_printf ("/proc/%d/map_files", getpid ());
  void *n;

  m->dir = realpath (made, NULL);
  nodes_setup (&n);
  m->n = n;
  nodes_link (m->n, 10, "map_files", map_files);
  *state = m;
  return 0;
}

static int
teardown (void **state)
{
  Maps *m = *state;
  void *n = m->n;

  nftw (m->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free (m->dir);
  g_free (m);
  return nodes_teardown (&n);
}

/* The fixture's maps become what is mapped now. */
static void
refresh (Maps *m)
{
  g_autofree char *content = NULL;
  gsize len;

  assert_true (g_file_get_contents ("/proc/self/maps", &content, &len, NULL));
  nodes_put (m->n, 10, "maps", content, (gssize) len);
}

static char *
at (Maps *m, const char *name)
{
  return g_build_filename (m->dir, name, NULL);
}

static char *
shown (Maps *m, const char *name)
{
  return g_strconcat ("web/maps/files", m->dir, "/", name, NULL);
}

static void *
map (Maps *m, const char *name, const char *content)
{
  g_autofree char *path = at (m, name);

  assert_true (g_file_set_contents (path, content, -1, NULL));
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  void *address = mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  assert_true (address != MAP_FAILED);
  close (fd);
  return address;
}

/* The link leads to what is mapped. */
static void
assert_shown (Maps *m, const char *name, const char *content)
{
  g_autofree char *path = shown (m, name);
  g_autofree char *target = nodes_readlink (m->n, path);
  g_autofree char *mapped = NULL;

  assert_non_null (strstr (target, "/10/map_files/"));
  assert_true (g_file_get_contents (target, &mapped, NULL, NULL));
  assert_string_equal (mapped, content);
}

/* The link. If it is to lead below root/, ask again: any change of mounts or names elsewhere may disturb the kernel's
 * look at the path, and then the link leads to map_files. */
static char *
link_for (PfsNode *node, const PfsCaller *who, bool below_root)
{
  char *target = NULL;

  for (int i = 0; i < 100; i++) {
    assert_int_equal (node->ops->readlink (node, who, &target), 0);
    if (!below_root || strstr (target, "../root/"))
      break;
    g_clear_pointer (&target, g_free);
    g_usleep (1000);
  }
  return target;
}

static void
test_tables (void **state)
{
  Maps *m = *state;

  refresh (m);
  assert_names (m->n, "web/maps", "files maps");
  nodes_put (m->n, 10, "smaps", "s\n", 2);
  nodes_put (m->n, 10, "smaps_rollup", "r\n", 2);
  assert_names (m->n, "web/maps", "files maps smaps smaps_rollup");
  assert_mode (m->n, "web/maps", S_IFDIR | 0500, getuid (), getgid ());
  assert_mode (m->n, "web/maps/maps", S_IFREG | 0444, getuid (), getgid ());

  g_autoptr (PfsNode) node = nodes_get (m->n, "web/maps/smaps", NULL);
  g_autoptr (PfsFile) file = NULL;
  g_autoptr (GBytes) content = nodes_read (m->n, "web/maps/smaps");
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), 0);
  assert_true (file->file_flags & PFS_FILE_DIRECT_IO);
  assert_int_equal (g_bytes_get_size (content), 2);
}

/* No link, FIFO or directory stands for a table. */
static void
test_tables_are_files (void **state)
{
  Maps *m = *state;
  g_autofree char *fifo = g_strdup_printf ("%s/10/smaps", m->n->proc->dir);

  refresh (m);
  assert_int_equal (mkfifo (fifo, 0666), 0);
  nodes_link (m->n, 10, "numa_maps", "maps");
  assert_names (m->n, "web/maps", "files maps");
  assert_int_equal (nodes_walk (m->n, "web/maps/smaps", NULL, NULL), -ENOENT);
}

static void
test_object (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "content");

  refresh (m);
  assert_shown (m, "lib.so", "content");
  assert_mode (m->n, in_tree, S_IFLNK | 0777, 0, 0);
  assert_mode (m->n, "web/maps/files", S_IFDIR | 0755, 0, 0);
  munmap (address, 4096);
}

/* As mapped, not as on disk. */
static void
test_deleted_and_replaced (void **state)
{
  Maps *m = *state;
  g_autofree char *dir = g_strconcat ("web/maps/files", m->dir, NULL);
  g_autofree char *path = at (m, "lib.so");
  void *old = map (m, "lib.so", "old");

  assert_int_equal (unlink (path), 0);
  refresh (m);
  assert_names (m->n, dir, "lib.so");
  assert_shown (m, "lib.so", "old");
  assert_true (g_file_set_contents (path, "never mapped", -1, NULL));
  refresh (m);
  assert_shown (m, "lib.so", "old");
  munmap (old, 4096);
}

/* Both at once: the lower address has the plain name. */
static void
test_two_of_one_name (void **state)
{
  Maps *m = *state;
  g_autofree char *dir = g_strconcat ("web/maps/files", m->dir, NULL);
  g_autofree char *path = at (m, "lib.so");
  void *old = map (m, "lib.so", "old");

  assert_int_equal (unlink (path), 0);
  void *new = map (m, "lib.so", "new!");
  void *other = map (m, "lib.so~2", "real");
  refresh (m);
  assert_names (m->n, dir, "lib.so lib.so~2 lib.so~3");
  assert_shown (m, "lib.so", old < new ? "old" : "new!");
  assert_shown (m, "lib.so~3", old < new ? "new!" : "old");
  assert_shown (m, "lib.so~2", "real");
  munmap (old, 4096);
  munmap (new, 4096);
  munmap (other, 4096);
}

/* A node that the kernel knows leads to its own file still, if its path does. */
static void
test_moves (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "old");
  g_autofree char *before = NULL;

  refresh (m);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);
  assert_int_equal (node->ops->readlink (node, &pfs_caller_self, &before), 0);
  void *elsewhere = mmap (NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true (mremap (address, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
  refresh (m);
  /* A scan is young for a while. */
  g_usleep (200 * 1000);
  g_autofree char *now = nodes_readlink (m->n, in_tree);
  g_autofree char *path = at (m, "lib.so");
  g_autofree char *of_node = link_for (node, &pfs_caller_self, true);
  assert_true (of_node && g_str_has_suffix (of_node, path));
  assert_string_not_equal (now, before);
  assert_shown (m, "lib.so", "old");
  munmap (elsewhere, 4096);
}

/* What is in /dev is no file to read, but for shared memory. */
static void
test_devices (void **state)
{
  Maps *m = *state;
  static const char line[] = "7f0000000000-7f0000001000 r--s 00000000 00:05 %d                         %s\n";
  g_autofree char *gpu = g_strdup_printf (line, 5, "/dev/gpu0");
  g_autofree char *shared = g_strdup_printf (line, 6, "/dev/shm/segment");
  g_autofree char *maps = g_strconcat (gpu, shared, NULL);

  nodes_put (m->n, 10, "maps", maps, -1);
  assert_names (m->n, "web/maps/files", "dev");
  assert_names (m->n, "web/maps/files/dev", "shm");
}

/* Every regular file that this test has mapped, by the kernel's own list. */
static void
test_all_of_ours (void **state)
{
  Maps *m = *state;
  GDir *dir = g_dir_open ("/proc/self/map_files", 0, NULL);
  const char *name;

  assert_non_null (dir);
  refresh (m);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *link = g_strdup_printf ("/proc/self/map_files/%s", name);
    g_autofree char *target = g_file_read_link (link, NULL);
    struct stat st;
    if (!target || stat (link, &st) < 0 || !S_ISREG (st.st_mode) || g_str_has_suffix (target, " (deleted)"))
      continue;
    g_autofree char *in_tree = g_strconcat ("web/maps/files", target, NULL);
    int r = nodes_walk (m->n, in_tree, NULL, NULL);
    if (r < 0)
      fail_msg ("%s: %s", in_tree, strerror (-r));
  }
  g_dir_close (dir);
}

/* Those who may not follow map_files are led to the path below root/, if the file there is the mapped one. */
static char *
link_of_others (Maps *m, const char *name, bool below_root)
{
  const PfsCaller who = { .uid = 1000, .gid = 1000, .switching = true };
  g_autofree char *in_tree = shown (m, name);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);

  return link_for (node, &who, below_root);
}

static void
test_others (void **state)
{
  Maps *m = *state;
  g_autofree char *path = at (m, "lib.so");
  g_autofree char *other = at (m, "other");
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "same");
  GString *expected = g_string_new ("../..");

  assert_int_equal (geteuid (), 0);
  assert_int_equal (chmod (m->dir, 0755), 0);
  for (const char *s = strchr (m->dir + 1, '/'); s; s = strchr (s + 1, '/'))
    g_string_append (expected, "/..");
  g_string_append_printf (expected, "/../root%s/lib.so", m->dir);
  refresh (m);
  g_autofree char *same = link_of_others (m, "lib.so", true);
  assert_non_null (same);
  assert_string_equal (same, expected->str);
  g_string_free (expected, TRUE);

  /* Nobody is told by it what lies in a folder that is closed to him. */
  assert_int_equal (chmod (m->dir, 0700), 0);
  g_autofree char *closed = link_of_others (m, "lib.so", false);
  assert_non_null (strstr (closed, "/10/map_files/"));
  assert_int_equal (chmod (m->dir, 0755), 0);

  assert_int_equal (rename (path, other), 0);
  assert_true (g_file_set_contents (path, "new!", -1, NULL));
  g_autofree char *replaced = link_of_others (m, "lib.so", false);
  assert_non_null (strstr (replaced, "/10/map_files/"));
  assert_shown (m, "lib.so", "same");
  munmap (address, 4096);
}

static void
test_ended (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "old");
  char *target = NULL;
  struct stat st;
  PfsFile *file;
  PfsEntry entry;

  refresh (m);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);
  g_autoptr (PfsNode) table = nodes_get (m->n, "web/maps/maps", NULL);
  g_autoptr (PfsNode) files = nodes_get (m->n, "web/maps/files", NULL);
  fixture_kill (m->n->proc, 10);
  assert_int_equal (node->ops->getattr (node, NULL, &pfs_caller_self, &st), -ESTALE);
  assert_int_equal (node->ops->readlink (node, &pfs_caller_self, &target), -ESTALE);
  assert_int_equal (table->ops->open (table, O_RDONLY, &pfs_caller_self, &file), -ESTALE);
  assert_int_equal (files->ops->lookup (files, "tmp", &pfs_caller_self, &entry), -ENOENT);
  assert_int_equal (files->ops->opendir (files, &pfs_caller_self, &file), -ESTALE);
  munmap (address, 4096);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_tables, setup, teardown),
    cmocka_unit_test_setup_teardown (test_tables_are_files, setup, teardown),
    cmocka_unit_test_setup_teardown (test_object, setup, teardown),
    cmocka_unit_test_setup_teardown (test_deleted_and_replaced, setup, teardown),
    cmocka_unit_test_setup_teardown (test_two_of_one_name, setup, teardown),
    cmocka_unit_test_setup_teardown (test_moves, setup, teardown),
    cmocka_unit_test_setup_teardown (test_devices, setup, teardown),
    cmocka_unit_test_setup_teardown (test_all_of_ours, setup, teardown),
    cmocka_unit_test_setup_teardown (test_others, setup, teardown),
    cmocka_unit_test_setup_teardown (test_ended, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
