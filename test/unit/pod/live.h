/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes in a cgroup that is named as a container's, and a table over the kernel's own /proc. */
#pragma once

#include "fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../../src/pod/state.h"

#define N_PEERS 20

typedef struct {
  char id[65]; /* of this test program alone: others run beside it */
  char *cgroup;
  char *root;
  PfsProc *proc;
  PfsTable *table;
  GArray *children;
} Live;

/* A hierarchy where we may make groups: as the integration tests, those of version 1 will do. */
static char *
writable_hierarchy (void)
{
  static const char *const tries[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd",
                                       "/sys/fs/cgroup/pids" };

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
  g_autofree char *base = writable_hierarchy ();
  Live *l = g_new0 (Live, 1);

  *state = l;
  g_snprintf (l->id, sizeof l->id, "cafe%08x%052x", (unsigned int) getpid (), 0u);
  l->children = g_array_new (FALSE, FALSE, sizeof (pid_t));
  l->root = g_dir_make_tmp ("pfs-root-XXXXXX", NULL);
  assert_non_null (base); /* the tests run as root, with a cgroup hierarchy */
  g_autofree char *cgroup = g_strdup_printf ("%s/docker-%s.scope", base, l->id);
  assert_return_code (mkdir (cgroup, 0755), errno);
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

static void
stop_all (Live *l)
{
  for (guint i = 0; i < l->children->len; i++)
    stop (g_array_index (l->children, pid_t, i));
  g_array_set_size (l->children, 0);
}

static int
live_teardown (void **state)
{
  Live *l = *state;

  stop_all (l);
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

/* A process of the made-up container, with a root of its own mount as a runtime would make it: the node's /usr. Without
 * a program it stays what was started outside, and takes the name alone. */
static pid_t
spawn_program (Live *l, const char *comm, const char *const *argv)
{
  g_autofree char *procs = g_build_filename (l->cgroup, "cgroup.procs", NULL);

  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0) {
    bool ok = write_file (procs, "0") && unshare (CLONE_NEWNS) == 0
              && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
              && mount ("/usr", l->root, NULL, MS_BIND | MS_REC, NULL) == 0 && chdir (l->root) == 0
              && mount (l->root, "/", NULL, MS_MOVE, NULL) == 0 && chroot (".") == 0
              && (!argv || execv (argv[0], (char *const *) argv) == 0);
    prctl (PR_SET_NAME, comm);
    while (ok)
      pause ();
    _exit (1);
  }
  g_array_append_val (l->children, pid);
  g_autofree char *comm_path = g_strdup_printf ("/proc/%d/comm", pid);
  for (int i = 0; i < 30000; i++) {
    g_autofree char *found = NULL;
    if (g_file_get_contents (comm_path, &found, NULL, NULL) && g_str_has_prefix (found, comm))
      return pid;
    g_usleep (2000);
  }
  fail_msg ("the peer has not started");
  return -1;
}

static pid_t
spawn_peer (Live *l)
{
  static const char *const sleeps[] = { "/bin/sleep", "600", NULL };

  return spawn_program (l, "sleep", sleeps);
}

/* A reference, or NULL. */
static PfsContainer *
find_live (Live *l)
{
  g_autofree char *name = g_strndup (l->id, 12);
  PfsContainer *c = NULL;

  return pfs_table_find (l->table, name, &c) == 0 ? c : NULL;
}

/* Runs the tests in a PID namespace of its own, with its /proc: nobody else starts and ends processes there. */
static int
run_by_itself (int (*func) (void))
{
  int status;

  if (unshare (CLONE_NEWPID | CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
    perror ("unshare");
    return 1;
  }
  pid_t pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    return mount ("proc", "/proc", "proc", 0, NULL) < 0 ? 1 : func ();
  }
  /* The first process starts nothing more from here on, not even what would look for leaks. */
  _exit (pid > 0 && waitpid (pid, &status, 0) == pid && WIFEXITED (status) ? WEXITSTATUS (status) : 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown (name, live_setup, live_teardown)
