/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table over the kernel's own /proc, with real processes in a cgroup that is named as a container's. */
#include "fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../../src/proc/table_priv.h"

#define LIVE_ID "cafe0000cafe0000cafe0000cafe0000cafe0000cafe0000cafe0000cafe"
#define N_PEERS 20

typedef struct {
  char *cgroup;
  char *root;
  PfsProc *proc;
  PfsTable *table;
  GArray *children;
} Live;

static char *
unified_hierarchy (void)
{
  static const char *const tries[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

  for (gsize i = 0; i < G_N_ELEMENTS (tries); i++) {
    g_autofree char *procs = g_build_filename (tries[i], "cgroup.procs", NULL);
    if (access (procs, W_OK) == 0)
      return g_strdup (tries[i]);
  }
  return NULL;
}

static int
live_setup (void **state)
{
  g_autofree char *base = unified_hierarchy ();
  Live *l = g_new0 (Live, 1);

  *state = l;
  l->children = g_array_new (FALSE, FALSE, sizeof (pid_t));
  l->root = g_dir_make_tmp ("pfs-root-XXXXXX", NULL);
  if (geteuid () != 0 || !base)
    return 0;
  g_autofree char *cgroup = g_strdup_printf ("%s/docker-%s%04x.scope", base, LIVE_ID, (unsigned int) getpid () & 0xffff);
  if (mkdir (cgroup, 0755) < 0)
    return 0;
  l->cgroup = g_steal_pointer (&cgroup);
  assert_int_equal (pfs_proc_open ("/proc", &l->proc), 0);
  l->table = pfs_table_new (l->proc, NULL);
  return 0;
}

static void
stop (pid_t pid)
{
  if (pid <= 1)
    return;
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

static int
live_teardown (void **state)
{
  Live *l = *state;

  for (guint i = 0; i < l->children->len; i++)
    stop (g_array_index (l->children, pid_t, i));
  g_array_unref (l->children);
  g_clear_pointer (&l->table, pfs_table_unref);
  g_clear_pointer (&l->proc, pfs_proc_unref);
  for (int i = 0; i < 100 && l->cgroup && rmdir (l->cgroup) < 0 && errno == EBUSY; i++)
    g_usleep (10000);
  rmdir (l->root);
  g_free (l->cgroup);
  g_free (l->root);
  g_free (l);
  return 0;
}

static bool
write_file (const char *path, const char *content)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : write (fd, content, strlen (content));

  if (fd >= 0)
    close (fd);
  return n == (ssize_t) strlen (content);
}

/* A process of the made-up container, with a root of its own mount as a runtime would make it. */
static pid_t
spawn_peer (Live *l)
{
  g_autofree char *procs = g_build_filename (l->cgroup, "cgroup.procs", NULL);

  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    bool ok = write_file (procs, "0") && unshare (CLONE_NEWNS) == 0 &&
              mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
              mount ("/usr", l->root, NULL, MS_BIND | MS_REC, NULL) == 0 && chdir (l->root) == 0 &&
              mount (l->root, "/", NULL, MS_MOVE, NULL) == 0 && chroot (".") == 0 &&
              execl ("/bin/sleep", "sleep", "600", NULL) == 0;
    _exit (ok ? 0 : 1);
  }
  g_array_append_val (l->children, pid);
  g_autofree char *comm_path = g_strdup_printf ("/proc/%d/comm", pid);
  for (int i = 0; i < 500; i++) {
    g_autofree char *comm = NULL;
    if (g_file_get_contents (comm_path, &comm, NULL, NULL) && g_str_equal (comm, "sleep\n"))
      return pid;
    g_usleep (2000);
  }
  fail_msg ("the peer has not started");
  return -1;
}

static PfsContainer *
find_live (Live *l)
{
  PfsContainer *c = NULL;

  return pfs_table_find (l->table, "cafe0000cafe", &c) == 0 ? c : NULL;
}

#define REQUIRE_CGROUP(l)                                       \
  do {                                                          \
    if (!(l)->cgroup)                                           \
      skip (); /* needs root and a writable cgroup2 hierarchy */ \
  } while (0)

static void
finds_a_real_container (void **state)
{
  Live *l = *state;
  g_autoptr (PfsPin) pin = NULL;

  REQUIRE_CGROUP (l);
  assert_null (find_live (l));
  pid_t first = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pfs_pin_pid (pin), first);
  g_clear_pointer (&pin, pfs_pin_unref);

  g_usleep (20000);
  pid_t second = spawn_peer (l);
  g_autoptr (GArray) pids = NULL;
  assert_int_equal (pfs_container_pids_now (c, &pids), 0);
  assert_int_equal (pids->len, 2);
  stop (first);
  g_array_index (l->children, pid_t, 0) = 0;
  assert_int_equal (pfs_container_main (c, &pin), 0);
  assert_int_equal (pfs_pin_pid (pin), second);
  g_clear_pointer (&pin, pfs_pin_unref);

  /* Dead, though nobody has reaped it yet. */
  siginfo_t info;
  kill (second, SIGKILL);
  assert_return_code (waitid (P_PID, (id_t) second, &info, WEXITED | WNOWAIT), errno);
  assert_int_equal (pfs_container_main (c, &pin), -ESRCH);
  assert_true (pfs_container_ended (c));
  assert_null (find_live (l));
}

/* A process in the container's cgroup that has the node's root, as in a runtime's first moments. */
static void
never_serves_the_nodes_root (void **state)
{
  Live *l = *state;

  REQUIRE_CGROUP (l);
  g_autofree char *procs = g_build_filename (l->cgroup, "cgroup.procs", NULL);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    write_file (procs, "0");
    pause ();
    _exit (0);
  }
  g_array_append_val (l->children, pid);
  for (int i = 0; i < 50; i++) {
    g_autoptr (PfsContainer) c = find_live (l);
    assert_null (c);
    g_usleep (2000);
  }
  /* It does not get in the way of the real one either. */
  pid_t peer = spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  assert_int_equal (pfs_container_pid (c), peer);
}

static void
second_scan_reads_nothing_known (void **state)
{
  Live *l = *state;
  g_autoptr (GPtrArray) list = NULL;

  REQUIRE_CGROUP (l);
  for (int i = 0; i < N_PEERS; i++)
    spawn_peer (l);
  g_autoptr (PfsContainer) c = find_live (l);
  assert_non_null (c);
  guint64 before = l->table->files_read;
  assert_true (before >= N_PEERS);
  assert_int_equal (pfs_table_list (l->table, &list, NULL), 0);
  /* Young processes of the node are read again, and whatever this machine has just started. */
  guint young = 0;
  for (guint i = 0; i < l->table->records->len; i++) {
    const PfsRecord *record = &g_array_index (l->table->records, PfsRecord, i);
    young += record->kind != PFS_KIND_MEMBER && (record->kind == PFS_KIND_PENDING ||
             pfs_table_is_young (l->table, record->start_time, PFS_SETTLE_SECONDS + 1));
  }
  assert_true (l->table->files_read - before <= young + 5);
  g_autoptr (GArray) pids = pfs_container_pids (c);
  assert_int_equal (pids->len, N_PEERS);
}

/* No descriptor is kept for a process, and few for main processes. */
static void
needs_few_descriptors (void **state)
{
  Live *l = *state;
  struct rlimit limit, small;

  REQUIRE_CGROUP (l);
  for (int i = 0; i < N_PEERS; i++)
    spawn_peer (l);
  assert_return_code (getrlimit (RLIMIT_NOFILE, &limit), errno);
  small = limit;
  small.rlim_cur = 24;
  assert_return_code (setrlimit (RLIMIT_NOFILE, &small), errno);
  g_autoptr (PfsContainer) c = find_live (l);
  int r = -ENOENT;
  if (c) {
    g_autoptr (PfsPin) pin = NULL;
    r = pfs_container_main (c, &pin);
  }
  assert_return_code (setrlimit (RLIMIT_NOFILE, &limit), errno);
  assert_int_equal (r, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, live_setup, live_teardown)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    CASE (finds_a_real_container),
    CASE (never_serves_the_nodes_root),
    CASE (second_scan_reads_nothing_known),
    CASE (needs_few_descriptors),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
