/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processes that do the operations, one at a time, each first on the one side and then on the other. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fsdiff.h"

#define LATE_TRIES 500 /* times 1 ms */
/* Links lead out of the directory, some of them by way of each other; but not as far as root/, which shows other modes
 * than the peer's "/". */
#define TOP "/1/2/3/top"

static const struct {
  uid_t uid;
  gid_t gid;
  size_t n_groups;
  gid_t groups[2];
} users[WORKERS] = {
  { 0, 0, 0, { 0 } },          { 1001, 1001, 1, { 2000 } }, { 1001, 1001, 1, { 2000 } },
  { 1002, 1002, 1, { 2000 } }, { 1002, 2000, 1, { 1001 } }, { 1001, 1002, 0, { 0 } },
};

typedef struct {
  pid_t pid;
  int channel;
} Worker;

typedef struct {
  Worker worker[WORKERS];
  char mount[4096], direct[4096], below[4096];
  int mount_dir, direct_dir;
} Run;

/* --- in the worker --- */

static void
become (unsigned int number)
{
  if (setgroups (users[number].n_groups, users[number].groups) < 0
      || setresgid (users[number].gid, users[number].gid, users[number].gid) < 0
      || setresuid (users[number].uid, users[number].uid, users[number].uid) < 0)
    err (2, "cannot become user %u", users[number].uid);
}

static void
run_on (Side *side, const Op *op, Text *text)
{
  text->used = 0;
  say (text, "%s: ", kind_of (op)->name);
  if (fchdir (side->dir) < 0)
    say (text, "fchdir = -1 %s", errno_name (errno));
  else
    kind_of (op)->run (side, op, text);
}

static void
send_text (int channel, const Text *text)
{
  if (send (channel, text->text, text->used, 0) < 0)
    err (2, "send");
}

static void
serve (int channel, int mount_dir, int direct_dir)
{
  Side mount = { mount_dir, true, { -1, -1, -1, -1, -1, -1 } };
  Side direct = { direct_dir, false, { -1, -1, -1, -1, -1, -1 } };
  static Text on_mount, on_direct;
  Op op;

  while (recv (channel, &op, sizeof op, 0) == sizeof op) {
    mode_t mask = umask (0);
    umask (mask);
    run_on (&mount, &op, &on_mount);
    umask (mask);
    run_on (&direct, &op, &on_direct);
    for (int i = 0; kind_of (&op)->late && i < LATE_TRIES && strcmp (on_mount.text, on_direct.text) != 0; i++) {
      usleep (1000);
      run_on (&mount, &op, &on_mount);
    }
    send_text (channel, &on_mount);
    send_text (channel, &on_direct);
  }
  _exit (0);
}

/* --- in the one that gives the orders --- */

static int
fresh_directory (const char *parent, unsigned int number, char *path, size_t size)
{
  int length = snprintf (path, size, "%s/%d.%u%s", parent, (int) getpid (), number, TOP);
  for (char *slash = path + length - strlen (TOP); slash; slash = strchr (slash + 1, '/')) {
    *slash = 0;
    if (mkdir (path, 0755) < 0)
      err (2, "mkdir %s", path);
    *slash = '/';
  }
  if (mkdir (path, 0) < 0 || chmod (path, number % 4 ? 0777 : 01777) < 0)
    err (2, "mkdir %s", path);
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    err (2, "open %s", path);
  return fd;
}

static void
start_worker (Run *run, unsigned int number)
{
  int channel[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
    err (2, "socketpair");
  fflush (NULL);
  pid_t pid = fork ();
  if (pid < 0)
    err (2, "fork");
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned int i = 0; i < number; i++)
      close (run->worker[i].channel);
    close (channel[0]);
    umask (022);
    become (number);
    serve (channel[1], run->mount_dir, run->direct_dir);
  }
  close (channel[1]);
  run->worker[number] = (Worker) { pid, channel[0] };
}

static void
receive (const Worker *worker, Text *text)
{
  ssize_t n = recv (worker->channel, text->text, sizeof text->text - 1, 0);
  int status;

  if (n <= 0 && waitpid (worker->pid, &status, 0) > 0)
    errx (2, "a worker ended with status %#x", status);
  if (n <= 0)
    errx (2, "a worker does not answer");
  text->used = (size_t) n;
  text->text[n] = 0;
}

static void
remove_tree (char *top)
{
  top[strlen (top) - strlen (TOP)] = 0;
  pid_t pid = fork ();
  if (pid == 0) {
    execlp ("rm", "rm", "-rf", "--", top, NULL);
    _exit (127);
  }
  waitpid (pid, NULL, 0);
}

static bool
trees_differ (const char *a, const char *b, Difference *ret)
{
  if (strcmp (a, b) == 0)
    return false;
  /* The first line that differs. */
  while (*a && *b) {
    size_t n = strcspn (a, "\n"), m = strcspn (b, "\n");
    if (n != m || memcmp (a, b, n) != 0)
      break;
    a += n + (a[n] == '\n');
    b += m + (b[m] == '\n');
  }
  ret->mount.used = ret->direct.used = 0;
  say (&ret->mount, "%.*s", (int) strcspn (a, "\n"), a);
  say (&ret->direct, "%.*s", (int) strcspn (b, "\n"), b);
  return true;
}

static bool
compare_trees (const Places *places, const Run *run, Difference *ret)
{
  char *mount = tree_text (run->mount_dir);
  char *direct = tree_text (run->direct_dir);
  bool differ = trees_differ (mount, direct, ret);

  if (!differ && places->below) {
    int fd = open (run->below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *below = tree_text (fd);
    differ = trees_differ (mount, below, ret);
    free (below);
    close (fd);
  }
  free (mount);
  free (direct);
  return differ;
}

static void
run_start (const Places *places, unsigned int number, Run *run)
{
  run->mount_dir = fresh_directory (places->mount, number, run->mount, sizeof run->mount);
  run->direct_dir = fresh_directory (places->direct, number, run->direct, sizeof run->direct);
  if (places->below)
    snprintf (run->below, sizeof run->below, "%s/%d.%u%s", places->below, (int) getpid (), number, TOP);
  for (unsigned int i = 0; i < WORKERS; i++)
    start_worker (run, i);
}

static void
run_end (Run *run)
{
  for (unsigned int i = 0; i < WORKERS; i++) {
    close (run->worker[i].channel);
    waitpid (run->worker[i].pid, NULL, 0);
  }
  close (run->mount_dir);
  close (run->direct_dir);
  remove_tree (run->mount);
  remove_tree (run->direct);
}

bool
run_list (const Places *places, const Op *ops, size_t n, Difference *ret)
{
  static unsigned int number;
  static Run run;
  bool differ = false;

  run_start (places, number++, &run);
  for (ret->at = 0; ret->at < n && !differ; ret->at++) {
    const Worker *worker = &run.worker[ops[ret->at].worker];

    if (send (worker->channel, &ops[ret->at], sizeof *ops, MSG_NOSIGNAL) < 0)
      err (2, "send");
    receive (worker, &ret->mount);
    receive (worker, &ret->direct);
    differ = strcmp (ret->mount.text, ret->direct.text) != 0;
    if (places->trace)
      printf ("%5zu %5u: %s\n%s%s%s", ret->at, users[ops[ret->at].worker].uid, ret->mount.text,
              differ ? "      direct: " : "", differ ? ret->direct.text : "", differ ? "\n" : "");
  }
  if (differ)
    ret->at--;
  else
    differ = compare_trees (places, &run, ret);
  run_end (&run);
  return differ;
}
