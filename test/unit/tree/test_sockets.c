/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sockets/ of a fixture whose fd, cwd and ns are this test's own, so that its sockets are real. */
#include "nodes.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct {
  Nodes *n;
  char *dir;
  GArray *fds;
} Sockets;

static int
setup (void **state)
{
  static const char *const links[] = { "fd", "ns", "cwd" };
  Sockets *s = g_new0 (Sockets, 1);
  g_autofree char *made = g_dir_make_tmp ("pfs-nsock-XXXXXX", NULL);
  void *n;

  s->dir = realpath (made, NULL);
  s->fds = g_array_new (FALSE, FALSE, sizeof (int));
  nodes_setup (&n);
  s->n = n;
  for (guint i = 0; i < G_N_ELEMENTS (links); i++) {
    g_autofree char *target = g_strdup_printf ("/proc/%d/%s", getpid (), links[i]);
    nodes_link (s->n, 10, links[i], target);
  }
  *state = s;
  return 0;
}

static int
teardown (void **state)
{
  Sockets *s = *state;
  void *n = s->n;

  for (guint i = 0; i < s->fds->len; i++)
    close (g_array_index (s->fds, int, i));
  g_array_unref (s->fds);
  nftw (s->dir, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free (s->dir);
  g_free (s);
  return nodes_teardown (&n);
}

static void
listen_at (Sockets *s, const char *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/%s", s->dir, name);
  assert_int_equal (bind (fd, (struct sockaddr *) &address, sizeof address), 0);
  assert_int_equal (listen (fd, 1), 0);
  g_array_append_val (s->fds, fd);
}

static void
make_dir (Sockets *s, const char *name)
{
  g_autofree char *path = g_build_filename (s->dir, name, NULL);
  assert_int_equal (mkdir (path, 01777), 0);
}

static char *
shown (Sockets *s, const char *name)
{
  return g_strconcat ("web/sockets", s->dir, *name ? "/" : "", name, NULL);
}

static void
assert_target (Sockets *s, const char *path, const char *name)
{
  g_autofree char *target = nodes_readlink (s->n, path);
  g_autofree char *expected = g_strdup_printf ("%s/10/root%s/%s", s->n->proc->proc->path, s->dir, name);

  assert_string_equal (target, expected);
}

static void
test_canonical_and_alias (void **state)
{
  Sockets *s = *state;
  g_autofree char *path = shown (s, "local-0");
  g_autofree char *dir = shown (s, "");

  listen_at (s, "local-0");
  assert_target (s, path, "local-0");
  assert_target (s, "web/sockets/local-0", "local-0");
  assert_mode (s->n, "web/sockets", S_IFDIR | 0555, 0, 0);
  assert_mode (s->n, dir, S_IFDIR | 0755, 0, 0);
  assert_names (s->n, dir, "local-0");
}

/* The link is followed by the kernel, with the caller's credentials, to the very socket. */
static void
test_connect (void **state)
{
  Sockets *s = *state;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct ucred peer;
  socklen_t len = sizeof peer;

  listen_at (s, "server");
  g_autofree char *target = nodes_readlink (s->n, "web/sockets/server");
  g_strlcpy (address.sun_path, target, sizeof address.sun_path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
  assert_int_equal (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
  assert_int_equal (peer.pid, getpid ());
  close (fd);
}

/* Of several of one last name the first by path has the short one, all being held by one process. */
static void
test_short_names (void **state)
{
  Sockets *s = *state;
  g_autofree char *top = g_strndup (s->dir + 1, strcspn (s->dir + 1, "/"));
  g_autofree char *hidden = g_strconcat ("web/sockets/", top, NULL);
  struct stat st;

  make_dir (s, "a");
  make_dir (s, "b");
  listen_at (s, "b/same");
  assert_target (s, "web/sockets/same", "b/same");
  listen_at (s, "a/same");
  listen_at (s, "b/single");
  listen_at (s, top);
  g_autofree char *dir = shown (s, "");
  g_autofree char *all = g_strdup_printf ("a b %s", top);
  assert_names (s->n, dir, all);
  g_usleep (150000);
  assert_target (s, "web/sockets/same", "a/same");
  assert_target (s, "web/sockets/single", "b/single");
  assert_int_equal (nodes_walk (s->n, hidden, NULL, &st), 0);
  assert_true (S_ISDIR (st.st_mode));
  g_autofree char *names = nodes_list (s->n, "web/sockets");
  assert_non_null (strstr (names, "same"));
  assert_non_null (strstr (names, "single"));
}

/* A name that was there a moment ago may be answered from then; a new one is found at once. */
static void
test_fresh (void **state)
{
  Sockets *s = *state;
  g_autofree char *first = shown (s, "first");
  g_autofree char *second = shown (s, "second");
  g_autofree char *dir = shown (s, "");
  g_autofree char *path = g_build_filename (s->dir, "first", NULL);

  listen_at (s, "first");
  assert_int_equal (nodes_walk (s->n, first, NULL, NULL), 0);
  assert_int_equal (nodes_walk (s->n, second, NULL, NULL), -ENOENT);
  listen_at (s, "second");
  assert_int_equal (nodes_walk (s->n, second, NULL, NULL), 0);
  assert_int_equal (unlink (path), 0);
  assert_names (s->n, dir, "second");
  assert_int_equal (nodes_walk (s->n, first, NULL, NULL), -ENOENT);
}

static void
test_ended (void **state)
{
  Sockets *s = *state;
  struct stat st;
  PfsEntry entry;
  PfsFile *file;
  char *target;

  listen_at (s, "server");
  g_autoptr (PfsNode) sockets = nodes_get (s->n, "web/sockets", NULL);
  g_autoptr (PfsNode) link = nodes_get (s->n, "web/sockets/server", NULL);
  fixture_kill (s->n->proc, 10);
  assert_int_equal (link->ops->readlink (link, &pfs_caller_self, &target), -ESTALE);
  assert_int_equal (link->ops->getattr (link, NULL, &pfs_caller_self, &st), -ESTALE);
  assert_int_equal (sockets->ops->lookup (sockets, "server", &pfs_caller_self, &entry), -ENOENT);
  assert_int_equal (sockets->ops->opendir (sockets, &pfs_caller_self, &file), -ESTALE);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (test_canonical_and_alias, setup, teardown),
    cmocka_unit_test_setup_teardown (test_connect, setup, teardown),
    cmocka_unit_test_setup_teardown (test_short_names, setup, teardown),
    cmocka_unit_test_setup_teardown (test_fresh, setup, teardown),
    cmocka_unit_test_setup_teardown (test_ended, setup, teardown),
  };
  /* The kernel leaves sockets out of a list while others in their network namespace end. */
  if (unshare (CLONE_NEWNET) < 0) {
    perror ("unshare");
    return 1;
  }
  return cmocka_run_group_tests (tests, NULL, NULL);
}
