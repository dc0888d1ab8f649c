/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts in a container that come and go: remount ROOT PID TIMES. A tmpfs is mounted on /mnt in the mount namespace of
 * that process, looked at through ROOT (the container's root/), and unmounted. Its root has the sticky bit. */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

int
main (int argc, char **argv)
{
  char path[64];
  struct stat st;

  if (argc != 4)
    errx (2, "usage: remount ROOT PID TIMES");
  snprintf (path, sizeof path, "/proc/%s/ns/mnt", argv[2]);
  int root = open (argv[1], O_PATH | O_DIRECTORY);
  int ns = open (path, O_RDONLY);
  if (root < 0 || ns < 0 || setns (ns, CLONE_NEWNS) < 0)
    err (1, "%s, %s", argv[1], path);
  for (int i = atoi (argv[3]); i > 0; i--) {
    if (mount ("remount", "/mnt", "tmpfs", 0, NULL) < 0)
      err (1, "mount");
    if (fstatat (root, "mnt", &st, 0) < 0)
      err (1, "stat, %d to go", i);
    if (!(st.st_mode & S_ISVTX))
      errx (1, "another directory is seen than the one mounted, %d to go", i);
    if (umount2 ("/mnt", MNT_DETACH) < 0)
      err (1, "umount");
  }
  return 0;
}
