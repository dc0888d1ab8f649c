/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* crowd DIR CGROUP LOGS PODS CONTAINERS PROCESSES: a node's pods, containers and processes, as far as /proc tells of
 * them. Each container has a mount namespace with a root of its own, the kubelet's mount, and a cgroup below its pod's;
 * LOGS has a folder for each pod. Prints "ready"; all end with it. */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMESPACES 12

static void
must (long r, const char *what)
{
  if (r < 0)
    err (1, "%s", what);
}

static const char *
make_dir (const char *path)
{
  must (mkdir (path, 0755), path);
  return path;
}

static const char *
make_file (const char *path)
{
  int fd = open (path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

  must (fd, path);
  close (fd);
  return path;
}

static void
uid_of (int pod, char uid[37])
{
  snprintf (uid, 37, "%08x-0000-4000-8000-000000000000", (unsigned int) pod);
}

static void
make_pod (const char *dir, const char *cgroup, const char *logs, int pod)
{
  char uid[37], path[1024];

  uid_of (pod, uid);
  snprintf (path, sizeof path, "%s/ns%d_pod-%d_%s", logs, pod % NAMESPACES, pod, uid);
  make_dir (path);
  snprintf (path, sizeof path, "%s/pod%s", cgroup, uid);
  make_dir (path);
  snprintf (path, sizeof path, "%s/pods/%s", dir, uid);
  make_dir (path);
  snprintf (path, sizeof path, "%s/pods/%s/containers", dir, uid);
  make_dir (path);
}

static void
become_container (const char *program, const char *dir, const char *cgroup, int pod, int i)
{
  char uid[37], instance[1024], path[1024];

  uid_of (pod, uid);
  snprintf (instance, sizeof instance, "%s/pods/%s/containers/c%d", dir, uid, i);
  make_dir (instance);
  snprintf (instance + strlen (instance), 16, "/%08x", (unsigned int) i);
  make_file (instance);
  snprintf (path, sizeof path, "%s/pod%s/cri-containerd-%064x.scope", cgroup, uid, (unsigned int) i + 1);
  make_dir (path);
  strcat (path, "/cgroup.procs");
  int procs = open (path, O_WRONLY | O_CLOEXEC);
  must (procs, path);
  must (unshare (CLONE_NEWNS), "unshare");
  snprintf (path, sizeof path, "%s/root", dir);
  must (mount ("tmpfs", path, "tmpfs", 0, "mode=755"), "tmpfs");
  must (chdir (path), path);
  make_dir ("dev");
  must (mount (instance, make_file ("dev/termination-log"), NULL, MS_BIND, NULL), "bind");
  must (mount (program, make_file ("program"), NULL, MS_BIND, NULL), "bind");
  must (syscall (SYS_pivot_root, ".", "."), "pivot_root");
  must (umount2 (".", MNT_DETACH), "umount");
  must (chdir ("/"), "/");
  must (write (procs, "0", 1), "cgroup.procs");
}

/* Its processes, and the byte that says so. */
static void
run_container (int processes, int ready)
{
  for (int i = 1; i < processes; i++)
    if (fork () == 0) {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      for (;;)
        pause ();
    }
  must (write (ready, "", 1), "ready");
  for (;;)
    pause ();
}

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "inside") == 0)
    run_container (atoi (argv[2]), atoi (argv[3]));
  if (argc != 7)
    errx (2, "see the head of crowd.c");
  const char *dir = argv[1], *cgroup = argv[2];
  int pods = atoi (argv[4]), containers = atoi (argv[5]), processes = atoi (argv[6]), ready[2];
  char path[1024], byte;

  must (pipe (ready), "pipe");
  make_dir (dir);
  snprintf (path, sizeof path, "%s/pods", dir);
  make_dir (path);
  snprintf (path, sizeof path, "%s/root", dir);
  make_dir (path);
  for (int i = 0; i < pods; i++)
    make_pod (dir, cgroup, argv[3], i);
  for (int i = 0; i < containers; i++) {
    pid_t pid = fork ();
    must (pid, "fork");
    if (pid == 0) {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      become_container (argv[0], dir, cgroup, i % pods, i);
      char each[12], fd[12];
      snprintf (each, sizeof each, "%d", processes / containers);
      snprintf (fd, sizeof fd, "%d", ready[1]);
      /* As a runtime does: what has not finished exec is not served for a while. */
      execl ("/program", "crowd", "inside", each, fd, (char *) NULL);
      err (1, "/program");
    }
    must (read (ready[0], &byte, 1) - 1, "a container");
  }
  puts ("ready");
  fflush (stdout);
  for (;;)
    pause ();
}
