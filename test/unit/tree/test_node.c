/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long nodes live, and which are the same. */
#include "nodes.h"

static gint finalized;

static void
count_finalized (PfsNode *node)
{
  (void) node;
  g_atomic_int_inc (&finalized);
}

static const PfsNodeOps test_ops = { .size = sizeof (PfsNode), .finalize = count_finalized };
static const PfsNodeOps other_ops = { .size = sizeof (PfsNode), .finalize = count_finalized };

static int
setup (void **state)
{
  finalized = 0;
  return nodes_setup (state);
}

static PfsNode *
child (PfsNode *parent, const char *name)
{
  return pfs_node_child (parent, name, &test_ops, NULL, NULL);
}

static void
test_same_name_same_node (void **state)
{
  PfsNode *top = pfs_tree_top (((Nodes *) *state)->tree);
  PfsNode *a = child (top, "a");
  PfsNode *again = child (top, "a");
  PfsNode *other_kind = pfs_node_child (top, "a", &other_ops, NULL, NULL);
  PfsNode *below = child (a, "a");

  assert_ptr_equal (a, again);
  assert_ptr_not_equal (a, other_kind);
  assert_ptr_not_equal (a, below);
  assert_true (pfs_node_ino (a) != pfs_node_ino (below));
  uint64_t ino = pfs_node_ino (a);
  pfs_node_unref (again);
  pfs_node_unref (other_kind);
  pfs_node_unref (a);
  assert_int_equal (finalized, 1); /* its child keeps it */
  pfs_node_unref (below);
  assert_int_equal (finalized, 3);
  a = child (top, "a");
  assert_true (pfs_node_ino (a) == ino);
  pfs_node_unref (a);
}

static void
test_remembered (void **state)
{
  PfsTree *tree = ((Nodes *) *state)->tree;
  PfsNode *a = child (pfs_tree_top (tree), "a");

  pfs_node_remember (a);
  pfs_node_remember (a);
  pfs_node_unref (a);
  assert_int_equal (finalized, 0);
  pfs_node_forget (a, 1);
  PfsNode *again = child (pfs_tree_top (tree), "a");
  assert_ptr_equal (a, again);
  pfs_node_forget (a, 1000); /* more than it ever knew */
  assert_int_equal (finalized, 0);
  pfs_node_unref (again);
  assert_int_equal (finalized, 1);
}

/* Numbers are given in turn, never twice, and lead nowhere once the node is forgotten. */
static void
test_numbers (void **state)
{
  PfsTree *tree = ((Nodes *) *state)->tree;
  PfsNode *a = child (pfs_tree_top (tree), "a");
  PfsNode *b = child (pfs_tree_top (tree), "b");
  uint64_t number = a->number;
  struct stat st;

  assert_ptr_equal (pfs_tree_node (tree, PFS_NODE_TOP), pfs_tree_top (tree));
  assert_ptr_equal (pfs_tree_node (tree, number), a);
  assert_int_equal (b->number, number + 1);
  assert_true (number < 100);
  pfs_node_unref (a);
  PfsNode *nowhere = pfs_tree_node (tree, number);
  assert_int_equal (nowhere->ops->getattr (nowhere, NULL, &pfs_caller_self, &st), -ESTALE);
  a = child (pfs_tree_top (tree), "a");
  assert_int_equal (a->number, number + 2);
  assert_ptr_equal (pfs_tree_node (tree, 0), nowhere);
  assert_ptr_equal (pfs_tree_node (tree, G_MAXUINT64), nowhere);
  pfs_node_unref (a);
  pfs_node_unref (b);
}

/* A chain of directories is longer than the stack is deep. */
static void
test_long_chain (void **state)
{
  PfsNode *node = pfs_node_ref (pfs_tree_top (((Nodes *) *state)->tree));

  for (int i = 0; i < 200000; i++) {
    PfsNode *next = child (node, "d");
    pfs_node_unref (node);
    node = next;
  }
  pfs_node_unref (node);
  assert_int_equal (finalized, 200000);
}

static gpointer
come_and_go (gpointer data)
{
  for (int i = 0; i < 20000; i++) {
    PfsNode *node = child (data, i % 2 ? "a" : "b");
    pfs_node_remember (node);
    pfs_node_unref (node);
    pfs_node_forget (node, 1);
  }
  return NULL;
}

static void
test_threads (void **state)
{
  PfsTree *tree = ((Nodes *) *state)->tree;
  size_t before = pfs_tree_size (tree);
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("node", come_and_go, pfs_tree_top (tree));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  assert_int_equal (pfs_tree_size (tree), before);
}

static void
test_listing (void **state)
{
  g_autoptr (GArray) listing = pfs_listing_new ();

  (void) state;
  for (guint i = 0; i < 5000; i++) {
    g_autofree char *name = g_strdup_printf ("%u", i);
    pfs_listing_add (listing, name, i % 2 ? S_IFREG : S_IFDIR, i + 1);
  }
  assert_int_equal (listing->len, 5000);
  const PfsListed *listed = &g_array_index (listing, PfsListed, 4321);
  assert_string_equal (listed->name, "4321");
  assert_int_equal (listed->type, S_IFREG);
  assert_int_equal (listed->ino, 4322);
}

int
main (void)
{
#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, nodes_teardown)
  const struct CMUnitTest tests[] = {
    TEST (test_same_name_same_node), TEST (test_numbers), TEST (test_remembered),
    TEST (test_long_chain),          TEST (test_threads), TEST (test_listing),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
