/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listings of root/, what is held for them, and what is left of it when the container has ended. */
#include "roots.h"

#include <sys/resource.h>

/* --- listings --- */

typedef struct {
  GHashTable *names; /* name -> its `next`, as strings */
  guint room;        /* how many more are taken */
  off_t last;        /* the `next` of the last one taken */
  char *last_name;
  guint with_entry;
  uint64_t self, parent; /* the numbers of "." and ".." */
} Listed;

static bool
take (const char *name, uint64_t ino, mode_t type, off_t next, PfsEntry *entry, gpointer data)
{
  Listed *l = data;

  assert_true (ino != 0);
  if (l->room == 0)
    return false;
  l->room--;
  l->last = next;
  g_free (l->last_name);
  l->last_name = g_strdup (name);
  if (!g_hash_table_add (l->names, g_strdup (name)))
    fail_msg ("%s comes twice", name);
  if (strcmp (name, ".") == 0)
    l->self = ino;
  else if (strcmp (name, "..") == 0)
    l->parent = ino;
  if (entry) {
    assert_int_equal (entry->attr.st_mode & S_IFMT, type & S_IFMT);
    assert_int_equal (entry->attr.st_ino, ino);
    pfs_node_unref (entry->node);
    l->with_entry++;
  }
  return true;
}

static Listed
listed_new (void)
{
  return (Listed) { .names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
}

static void
listed_clear (Listed *l)
{
  g_hash_table_unref (l->names);
  g_free (l->last_name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Listed, listed_clear)

static int
list (PfsFile *dir, off_t offset, guint room, bool plus, Listed *l)
{
  l->room = room;
  return pfs_rootfs_readdir (dir, offset, plus, WHO, take, l);
}

static PfsFile *
open_dir (PfsNode *node)
{
  PfsFile *dir = NULL;

  assert_int_equal (node->ops->opendir (node, WHO, &dir), 0);
  return dir;
}

static void
make_files (Roots *r, guint n)
{
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf ("file-with-a-long-name-%u", i);
    peer_file (r, name, "");
  }
}

static void
test_list_in_pieces (void **state)
{
  Roots *r = *state;
  g_auto (Listed) l = listed_new ();
  off_t offset = 0;

  make_files (r, 1500); /* more than one buffer of the kernel's names */
  g_autoptr (PfsFile) dir = open_dir (r->root);
  for (guint before = G_MAXUINT; before != g_hash_table_size (l.names); offset = l.last) {
    before = g_hash_table_size (l.names);
    assert_int_equal (list (dir, offset, 7, false, &l), 0);
  }
  assert_int_equal (g_hash_table_size (l.names), 1502);
  assert_true (g_hash_table_contains (l.names, "."));
  assert_true (g_hash_table_contains (l.names, ".."));
  assert_true (g_hash_table_contains (l.names, "file-with-a-long-name-1499"));
}

static void
test_list_with_attributes (void **state)
{
  Roots *r = *state;
  g_auto (Listed) l = listed_new ();

  make_files (r, 5);
  peer_dir (r, "d");
  assert_return_code (symlinkat ("/x", r->fd, "l"), errno);
  assert_return_code (mkfifoat (r->fd, "fifo", 0600), errno);
  g_autoptr (PfsFile) dir = open_dir (r->root);
  assert_int_equal (list (dir, 0, 1000, true, &l), 0);
  assert_int_equal (g_hash_table_size (l.names), 10);
  assert_int_equal (l.with_entry, 8);
}

/* The numbers of directories, as listings tell them: those that stat(2) gives. */
static void
test_numbers (void **state)
{
  Roots *r = *state;
  g_auto (Listed) top = listed_new ();
  g_auto (Listed) below = listed_new ();
  struct stat peer, root, dir;

  peer_dir (r, "d");
  g_autoptr (PfsNode) web = pfs_node_ref (r->root->parent);
  g_autoptr (PfsNode) d = roots_get (r, "d");
  assert_int_equal (roots_getattr (web, &peer), 0);
  assert_int_equal (roots_getattr (r->root, &root), 0);
  assert_int_equal (roots_getattr (d, &dir), 0);
  g_autoptr (PfsFile) a = open_dir (r->root);
  assert_int_equal (list (a, 0, 1000, true, &top), 0);
  assert_int_equal (top.self, root.st_ino);
  assert_int_equal (top.parent, peer.st_ino);
  g_autoptr (PfsFile) b = open_dir (d);
  assert_int_equal (list (b, 0, 1000, true, &below), 0);
  assert_int_equal (below.self, dir.st_ino);
  assert_int_equal (below.parent, root.st_ino);

  g_autoptr (PfsFile) c = open_dir (web);
  PfsListed listed = { NULL };
  for (guint i = 0; i < c->listing->len && g_strcmp0 (listed.name, "root") != 0; i++)
    listed = g_array_index (c->listing, PfsListed, i);
  assert_string_equal (listed.name, "root");
  assert_int_equal (listed.ino, root.st_ino);
}

/* An offset given once leads to the same place later, also when files came and went before it. */
static void
test_offsets_are_stable (void **state)
{
  Roots *r = *state;
  g_auto (Listed) first = listed_new ();
  g_auto (Listed) rest = listed_new ();
  g_auto (Listed) again = listed_new ();
  GHashTableIter iter;
  gpointer name;

  make_files (r, 300);
  g_autoptr (PfsFile) dir = open_dir (r->root);
  assert_int_equal (list (dir, 0, 100, false, &first), 0);
  off_t middle = first.last;
  assert_int_equal (list (dir, middle, 1000, false, &rest), 0);
  assert_int_equal (g_hash_table_size (first.names) + g_hash_table_size (rest.names), 302);
  g_hash_table_iter_init (&iter, first.names);
  for (int n = 0; n < 50 && g_hash_table_iter_next (&iter, &name, NULL);)
    if (strcmp (name, first.last_name) != 0 && unlinkat (r->fd, name, 0) == 0)
      n++;
  assert_int_equal (list (dir, middle, 1000, false, &again), 0);
  assert_int_equal (g_hash_table_size (again.names), g_hash_table_size (rest.names));
  g_hash_table_iter_init (&iter, rest.names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    assert_true (g_hash_table_contains (again.names, name));
}

static void
test_rewind_sees_changes (void **state)
{
  Roots *r = *state;
  g_auto (Listed) before = listed_new ();
  g_auto (Listed) after = listed_new ();

  make_files (r, 10);
  g_autoptr (PfsFile) dir = open_dir (r->root);
  assert_int_equal (list (dir, 0, 1000, false, &before), 0);
  peer_file (r, "late", "");
  assert_int_equal (list (dir, 0, 1000, false, &after), 0);
  assert_false (g_hash_table_contains (before.names, "late"));
  assert_true (g_hash_table_contains (after.names, "late"));
}

static void
test_removed_directory (void **state)
{
  Roots *r = *state;
  g_auto (Listed) l = listed_new ();

  peer_dir (r, "d");
  g_autoptr (PfsNode) node = roots_get (r, "d");
  g_autoptr (PfsFile) dir = open_dir (node);
  assert_return_code (unlinkat (r->fd, "d", AT_REMOVEDIR), errno);
  assert_int_equal (list (dir, 0, 1000, false, &l), 0);
  assert_int_equal (g_hash_table_size (l.names), 0);
}

/* --- what the kernel may forget --- */

static bool
is_named (GPtrArray *names, const char *name)
{
  for (guint i = 0; i < names->len; i++)
    if (strcmp (((PfsName *) names->pdata[i])->name, name) == 0)
      return true;
  return false;
}

static void
test_idle_names (void **state)
{
  static const char *const all[] = { "file", "link", "fifo", "d" };
  Roots *r = *state;

  peer_file (r, "file", "");
  peer_dir (r, "d");
  assert_return_code (symlinkat ("file", r->fd, "link"), errno);
  assert_return_code (mkfifoat (r->fd, "fifo", 0600), errno);
  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    PfsNode *node = roots_get (r, all[i]);
    g_autoptr (GPtrArray) used = pfs_tree_idle_names (r->nodes.tree, 100);
    assert_false (is_named (used, all[i]));
    pfs_node_remember (node);
    pfs_node_unref (node);
    g_autoptr (GPtrArray) idle = pfs_tree_idle_names (r->nodes.tree, 100);
    assert_true (is_named (idle, all[i]));
    assert_false (is_named (idle, "root"));
    assert_false (is_named (idle, "web"));
    pfs_node_forget (node, 1);
  }
  g_autoptr (GPtrArray) none = pfs_tree_idle_names (r->nodes.tree, 100);
  assert_int_equal (none->len, 0);
}

/* --- what is held --- */

static void
test_few_descriptors (void **state)
{
  Roots *r = *state;
  guint before = count_fds ();

  for (int i = 0; i < 300; i++) {
    g_autofree char *dir = g_strdup_printf ("dir%d", i);
    g_autofree char *file = g_strdup_printf ("dir%d/file", i);
    peer_dir (r, dir);
    peer_file (r, file, "");
    assert_int_equal (roots_lookup (r, file, WHO, NULL), 0);
  }
  assert_in_range (count_fds (), before, before + 50);
  assert_true (pfs_tree_size (r->nodes.tree) < 60); /* only what cached descriptors hold */

  gint64 deadline;
  g_autoptr (GPtrArray) pins = pfs_tree_held (r->nodes.tree, &deadline);
  assert_true (pins->len >= 1);
  assert_true (deadline <= g_get_monotonic_time () + G_USEC_PER_SEC);
  g_usleep (PFS_HELD_IDLE + 20000);
  pfs_tree_sweep (r->nodes.tree, NULL, NULL);
  assert_true (count_fds () <= before);
  g_autoptr (GPtrArray) none = pfs_tree_held (r->nodes.tree, &deadline);
  assert_int_equal (deadline, G_MAXINT64);
}

static void
count_call (gpointer data)
{
  (*(guint *) data)++;
}

/* Whoever sleeps until something is held is told when that begins. */
static void
test_held_is_told (void **state)
{
  Roots *r = *state;
  guint calls = 0;

  peer_file (r, "f", "");
  g_usleep (PFS_HELD_IDLE + 20000);
  pfs_tree_sweep (r->nodes.tree, NULL, NULL);
  pfs_tree_set_held_func (r->nodes.tree, count_call, &calls);
  assert_int_equal (roots_lookup (r, "f", WHO, NULL), 0);
  assert_true (calls > 0);
  pfs_tree_set_held_func (r->nodes.tree, NULL, NULL);
}

/* --- the end --- */

static void
count_ended (PfsContainer *container, gpointer data)
{
  assert_string_equal (container->cgroup.id, ID_A);
  (*(guint *) data)++;
}

/* If nobody has told of it: by the first request that comes a moment after the last answer. */
static void
test_ended_unsaid (void **state)
{
  Roots *r = *state;
  struct stat st;

  peer_dir (r, "d");
  g_autoptr (PfsNode) d = roots_get (r, "d");
  assert_int_equal (roots_getattr (d, &st), 0);
  fixture_kill (r->nodes.proc, 10);
  g_usleep (1000);
  assert_int_equal (roots_getattr (d, &st), -ESTALE);
}

static void
test_ended (void **state)
{
  Roots *r = *state;
  g_auto (Listed) l = listed_new ();
  struct stat st, nothing;
  guint ended = 0;
  PfsEntry entry = { .node = NULL };
  PfsFile *none;
  char c;

  peer_dir (r, "d");
  peer_file (r, "d/f", "content");
  g_autoptr (PfsNode) d = roots_get (r, "d");
  g_autoptr (PfsNode) f = roots_get (r, "d/f");
  g_autoptr (PfsFile) file = roots_open (r, "d/f", O_RDWR);
  g_autoptr (PfsFile) dir = open_dir (d);
  g_autoptr (GPtrArray) before = pfs_tree_ended_names (r->nodes.tree, 100);
  assert_int_equal (before->len, 0);
  fixture_kill (r->nodes.proc, 10);
  pfs_tree_sweep (r->nodes.tree, count_ended, &ended);
  assert_int_equal (ended, 1);
  pfs_tree_sweep (r->nodes.tree, count_ended, &ended);
  assert_int_equal (ended, 1);
  g_autoptr (GPtrArray) after = pfs_tree_ended_names (r->nodes.tree, 100);
  assert_true (is_named (after, "root") && is_named (after, "d") && is_named (after, "f"));
  assert_int_equal (after->len, 3);
  g_autoptr (GPtrArray) two = pfs_tree_ended_names (r->nodes.tree, 2);
  assert_int_equal (two->len, 2);

  /* Whatever is done to an open file now fails, also where it was on its way. */
  assert_int_equal (pfs_file_check (file), -EIO);
  assert_int_equal (pfs_file_error (file, -EBADF), -EIO);
  assert_int_equal (pfs_file_error (file, -ENOSPC), -ENOSPC);
  assert_int_equal (pread (file->fd, &c, 1, 0), -1);
  assert_int_equal (pwrite (file->fd, "x", 1, 0), -1);
  assert_return_code (fstat (file->fd, &nothing), errno);
  assert_true (S_ISFIFO (nothing.st_mode));
  assert_int_equal (list (dir, 0, 1000, false, &l), -EIO);
  assert_int_equal (f->ops->getattr (f, file, WHO, &st), -EIO);
  assert_int_equal (pfs_rootfs_setattr (f, file, &st, PFS_SET_MODE, WHO, &st), -EIO);

  assert_int_equal (roots_getattr (r->root, &st), -ESTALE);
  assert_int_equal (r->root->ops->lookup (r->root, "d", WHO, &entry), -ESTALE);
  assert_int_equal (d->ops->lookup (d, "f", WHO, &entry), -ESTALE);
  assert_int_equal (d->ops->opendir (d, WHO, &none), -ESTALE);
  assert_int_equal (pfs_rootfs_make (d, "new", S_IFDIR | 0700, 0, NULL, WHO, &entry), -ESTALE);
  assert_int_equal (faccessat (r->fd, "d/new", F_OK, 0), -1);

  gint64 deadline;
  g_autoptr (GPtrArray) pins = pfs_tree_held (r->nodes.tree, &deadline);
  assert_int_equal (pins->len, 0);
  assert_int_equal (deadline, G_MAXINT64);
}

/* Only its end ends a container: without a descriptor to look at the next main process nothing is known of that. */
static void
test_no_descriptors (void **state)
{
  Roots *r = *state;
  struct rlimit before, none;
  struct stat st;
  guint ended = 0;

  peer_file (r, "f", "content");
  g_autoptr (PfsNode) f = roots_get (r, "f");
  g_autoptr (PfsFile) file = roots_open (r, "f", O_RDWR);
  nodes_process (&r->nodes, 12, 120, ID_A, ROOT ("40") KUBELET ("web", "0123abcd"), r->dir);
  assert_listing (r->nodes.proc->table, "web:10");
  fixture_kill (r->nodes.proc, 10);
  assert_return_code (getrlimit (RLIMIT_NOFILE, &before), errno);
  none = before;
  none.rlim_cur = 3;
  assert_return_code (setrlimit (RLIMIT_NOFILE, &none), errno);
  int looked = roots_getattr (f, &st);
  int checked = pfs_file_check (file);
  pfs_tree_sweep (r->nodes.tree, count_ended, &ended);
  assert_return_code (setrlimit (RLIMIT_NOFILE, &before), errno);
  assert_int_equal (looked, -EMFILE);
  assert_int_equal (checked, -EMFILE);
  assert_int_equal (ended, 0);
  assert_int_equal (roots_getattr (f, &st), 0);
  assert_int_equal (pfs_file_check (file), 0);
}

/* While a process of the container lives its files stay, whichever was the main one. */
static void
test_main_ends_container_goes_on (void **state)
{
  Roots *r = *state;
  guint ended = 0;

  peer_file (r, "f", "content");
  nodes_process (&r->nodes, 12, 120, ID_A, ROOT ("40") KUBELET ("web", "0123abcd"), r->dir);
  g_autoptr (GPtrArray) all = NULL;
  assert_int_equal (pfs_table_list (r->nodes.proc->table, &all), 0);
  g_autoptr (PfsFile) file = roots_open (r, "f", O_RDONLY);
  fixture_kill (r->nodes.proc, 10);
  pfs_tree_sweep (r->nodes.tree, count_ended, &ended);
  assert_int_equal (ended, 0);
  assert_int_equal (pfs_file_check (file), 0);
  assert_int_equal (pfs_file_error (file, -EBADF), -EBADF);
  assert_open_content (file, "content");
  assert_int_equal (roots_lookup (r, "f", WHO, NULL), 0);
}

/* --- many at once --- */

typedef struct {
  Roots *r;
  int number;
  gint *stop;
} Worker;

static gpointer
worker (gpointer data)
{
  const Worker *w = data;
  PfsNode *root = w->r->root;
  g_autofree char *mine = g_strdup_printf ("w%d", w->number);
  PfsEntry entry = { .node = NULL };

  for (int i = 0; i < 300; i++) {
    g_autoptr (PfsFile) file = NULL;
    struct stat st;

    if (pfs_rootfs_create (root, i % 3 ? mine : "shared", 0600, O_RDWR, WHO, &entry, &file) == 0) {
      (void) entry.node->ops->getattr (entry.node, file, WHO, &st);
      pfs_node_unref (entry.node);
    }
    (void) pfs_rootfs_rename (root, "shared", root, mine, i % 2 ? 0 : RENAME_EXCHANGE, WHO);
    if (root->ops->lookup (root, "shared", WHO, &entry) == 0) {
      st.st_mode = 0600;
      (void) pfs_rootfs_setattr (entry.node, NULL, &st, PFS_SET_MODE, WHO, &st);
      pfs_node_unref (entry.node);
    }
    (void) pfs_rootfs_remove (root, i % 5 ? mine : "shared", false, WHO);
  }
  return NULL;
}

static gpointer
sweeper (gpointer data)
{
  const Worker *w = data;

  while (!g_atomic_int_get (w->stop)) {
    pfs_tree_sweep (w->r->nodes.tree, NULL, NULL);
    pfs_held_drop_dirs (w->r->nodes.tree);
    g_usleep (200);
  }
  return NULL;
}

static void
test_threads (void **state)
{
  Worker workers[4];
  GThread *threads[G_N_ELEMENTS (workers)];
  gint stop = 0;

  for (guint i = 0; i < G_N_ELEMENTS (workers); i++) {
    workers[i] = (Worker) { *state, (int) i, &stop };
    threads[i] = g_thread_new ("worker", worker, &workers[i]);
  }
  GThread *sweep = g_thread_new ("sweeper", sweeper, &workers[0]);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    g_thread_join (threads[i]);
  g_atomic_int_set (&stop, 1);
  g_thread_join (sweep);
}

/* A container that ends while its files are opened and closed. */
static gpointer
opener (gpointer data)
{
  const Worker *w = data;
  PfsEntry entry = { .node = NULL };

  while (roots_lookup (w->r, "f", WHO, &entry) == 0) {
    g_autoptr (PfsFile) file = NULL;
    char c;

    if (entry.node->ops->open (entry.node, O_RDONLY, WHO, &file) == 0 && pfs_file_check (file) == 0)
      (void) !pread (file->fd, &c, 1, 0);
    pfs_node_unref (entry.node);
  }
  return NULL;
}

static void
test_ends_while_in_use (void **state)
{
  Roots *r = *state;
  Worker workers[3];
  GThread *threads[G_N_ELEMENTS (workers)];
  gint64 deadline;

  peer_file (r, "f", "content");
  guint before = count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++) {
    workers[i] = (Worker) { r, (int) i, NULL };
    threads[i] = g_thread_new ("opener", opener, &workers[i]);
  }
  g_usleep (50000);
  fixture_kill (r->nodes.proc, 10);
  pfs_tree_sweep (r->nodes.tree, NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    g_thread_join (threads[i]);
  g_autoptr (GPtrArray) pins = pfs_tree_held (r->nodes.tree, &deadline);
  assert_int_equal (pins->len, 0);
  assert_int_equal (deadline, G_MAXINT64);
  assert_true (count_fds () <= before);
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, roots_setup, roots_teardown)
  const struct CMUnitTest tests[] = {
    TEST (test_list_in_pieces),
    TEST (test_list_with_attributes),
    TEST (test_numbers),
    TEST (test_offsets_are_stable),
    TEST (test_rewind_sees_changes),
    TEST (test_removed_directory),
    TEST (test_idle_names),
    TEST (test_few_descriptors),
    TEST (test_held_is_told),
    TEST (test_no_descriptors),
    TEST (test_ended_unsaid),
    TEST (test_ended),
    TEST (test_main_ends_container_goes_on),
    TEST (test_threads),
    TEST (test_ends_while_in_use),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
