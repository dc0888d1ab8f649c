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

static void
assert_shown (Maps *m, const char *name, const char *content)
{
  g_autofree char *path = shown (m, name);
  assert_content (m->n, path, content, strlen (content));
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
  g_autofree char *path = at (m, "lib.so");
  g_autofree char *in_tree = shown (m, "lib.so");
  struct stat disk, seen;
  void *address = map (m, "lib.so", "content");

  assert_int_equal (chmod (path, 0750), 0);
  refresh (m);
  assert_shown (m, "lib.so", "content");
  assert_int_equal (stat (path, &disk), 0);
  assert_int_equal (nodes_walk (m->n, in_tree, NULL, &seen), 0);
  assert_int_equal (seen.st_mode, S_IFREG | 0440);
  assert_int_equal (seen.st_uid, disk.st_uid);
  assert_memory_equal (&seen.st_mtim, &disk.st_mtim, sizeof disk.st_mtim);
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

/* A node that the kernel knows keeps its object wherever that is mapped, and never becomes another one. */
static void
test_moves_and_ends (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "old");
  struct stat st;
  PfsFile *file;

  refresh (m);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);
  void *elsewhere = mmap (NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true (mremap (address, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
  refresh (m);
  assert_int_equal (node->ops->getattr (node, NULL, &pfs_caller_self, &st), 0);
  assert_int_equal (st.st_size, 3);

  /* Held open, or its inode number would be used again. */
  g_autofree char *path = at (m, "lib.so");
  int held = open (path, O_RDONLY | O_CLOEXEC);
  munmap (elsewhere, 4096);
  assert_int_equal (unlink (path), 0);
  void *new = map (m, "lib.so", "new!");
  refresh (m);
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), -ESTALE);
  assert_shown (m, "lib.so", "new!");
  munmap (new, 4096);
  close (held);
}

/* Only regular files: a device's memory is none. */
static void
test_devices (void **state)
{
  Maps *m = *state;
  g_autofree char *path = at (m, "device");

  assert_int_equal (mknod (path, S_IFCHR | 0600, makedev (1, 5)), 0);
  int fd = open (path, O_RDWR | O_CLOEXEC);
  assert_true (fd >= 0);
  void *address = mmap (NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
  assert_true (address != MAP_FAILED);
  void *file = map (m, "file", "f");
  refresh (m);
  g_autofree char *dir = g_strconcat ("web/maps/files", m->dir, NULL);
  assert_names (m->n, dir, "file");
  munmap (address, 4096);
  munmap (file, 4096);
  close (fd);
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
    struct stat st, seen;
    if (!target || stat (link, &st) < 0 || !S_ISREG (st.st_mode) || g_str_has_suffix (target, " (deleted)"))
      continue;
    g_autofree char *in_tree = g_strconcat ("web/maps/files", target, NULL);
    int r = nodes_walk (m->n, in_tree, NULL, &seen);
    if (r < 0)
      fail_msg ("%s: %s", in_tree, strerror (-r));
    assert_int_equal (seen.st_size, st.st_size);
  }
  g_dir_close (dir);
}

/* Without map_files, the file of that path will do if it is the object. */
static void
test_fallback (void **state)
{
  Maps *m = *state;
  g_autofree char *link = g_strdup_printf ("%s/10/map_files", m->n->proc->dir);
  g_autofree char *in_tree = shown (m, "lib.so");
  g_autofree char *path = at (m, "lib.so");
  g_autofree char *denied = at (m, "denied");
  void *address = map (m, "lib.so", "same");

  assert_int_equal (geteuid (), 0);
  refresh (m);
  assert_int_equal (unlink (link), 0);
  assert_int_equal (mkdir (denied, 0000), 0);
  assert_int_equal (symlink (denied, link), 0);
  assert_int_equal (chmod (m->dir, 0755), 0);
  assert_int_equal (chmod (m->n->proc->dir, 0755), 0);

  pid_t pid = fork ();
  if (pid == 0) {
    g_autoptr (PfsNode) node = NULL;
    struct stat st;
    PfsFile *file;
    if (setresgid (1000, 1000, 1000) < 0 || setresuid (1000, 1000, 1000) < 0)
      _exit (2);
    /* A tree of its own, for descriptors are reopened through one's own /proc/self/fd. */
    const PfsTreeOptions options = { 0 };
    m->n->tree = pfs_tree_new (m->n->proc->table, &options);
    if (nodes_walk (m->n, in_tree, &node, &st) < 0 || st.st_size != 4)
      _exit (3);
    if (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file) < 0)
      _exit (4);
    _exit (0);
  }
  int status = 0;
  waitpid (pid, &status, 0);
  munmap (address, 4096);
  assert_true (WIFEXITED (status));
  assert_int_equal (WEXITSTATUS (status), 0);
}

/* On older kernels maps names the device of the layer for a file of an overlay. */
static void
refresh_as_of_a_layer (Maps *m)
{
  g_autofree char *content = NULL;
  g_autofree char *mine = g_strdup_printf ("%s/lib.so", m->dir);
  g_autoptr (GString) changed = g_string_new (NULL);

  assert_true (g_file_get_contents ("/proc/self/maps", &content, NULL, NULL));
  g_auto (GStrv) lines = g_strsplit (content, "\n", -1);
  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_auto (GStrv) fields = g_strsplit (lines[i], " ", 5);
    bool is_mine = strstr (lines[i], mine) != NULL;
    g_string_append_printf (changed, "%s %s %s %s %s\n", fields[0], fields[1], fields[2], is_mine ? "ff:77" : fields[3],
                            fields[4]);
  }
  nodes_put (m->n, 10, "maps", changed->str, (gssize) changed->len);
}

static int
open_without_capabilities (PfsNode *node)
{
  const PfsCaller who = { .switching = true };
  g_autoptr (PfsFile) file = NULL;

  return node->ops->open (node, O_RDONLY, &who, &file);
}

static void
test_fallback_to_a_layer (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  g_autofree char *path = at (m, "lib.so");
  g_autofree char *other = at (m, "other");
  void *address = map (m, "lib.so", "same");

  refresh_as_of_a_layer (m);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);
  assert_int_equal (open_without_capabilities (node), 0);
  /* The path may have been another file's meanwhile. */
  assert_int_equal (rename (path, other), 0);
  assert_true (g_file_set_contents (path, "new!", -1, NULL));
  assert_int_equal (open_without_capabilities (node), -EACCES);
  assert_int_equal (unlink (path), 0);
  assert_int_equal (link (other, path), 0);
  assert_int_equal (open_without_capabilities (node), -EACCES);
  munmap (address, 4096);
}

static void
test_ended (void **state)
{
  Maps *m = *state;
  g_autofree char *in_tree = shown (m, "lib.so");
  void *address = map (m, "lib.so", "old");
  struct stat st;
  PfsFile *file;
  PfsEntry entry;

  refresh (m);
  g_autoptr (PfsNode) node = nodes_get (m->n, in_tree, NULL);
  g_autoptr (PfsNode) table = nodes_get (m->n, "web/maps/maps", NULL);
  g_autoptr (PfsNode) files = nodes_get (m->n, "web/maps/files", NULL);
  fixture_kill (m->n->proc, 10);
  assert_int_equal (node->ops->getattr (node, NULL, &pfs_caller_self, &st), -ESTALE);
  assert_int_equal (node->ops->open (node, O_RDONLY, &pfs_caller_self, &file), -ESTALE);
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
    cmocka_unit_test_setup_teardown (test_moves_and_ends, setup, teardown),
    cmocka_unit_test_setup_teardown (test_devices, setup, teardown),
    cmocka_unit_test_setup_teardown (test_all_of_ours, setup, teardown),
    cmocka_unit_test_setup_teardown (test_fallback, setup, teardown),
    cmocka_unit_test_setup_teardown (test_fallback_to_a_layer, setup, teardown),
    cmocka_unit_test_setup_teardown (test_ended, setup, teardown),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
