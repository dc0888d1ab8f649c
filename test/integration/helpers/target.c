/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main process of a container that callers try to look into: listens on /run/target/sock and sleeps.
 * With "undumpable" it makes itself so. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/target/sock" };
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  if (argc > 1 && strcmp (argv[1], "undumpable") == 0)
    prctl (PR_SET_DUMPABLE, 0);
  umask (0);
  if (bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 4096) < 0) {
    perror ("target");
    return 1;
  }
  for (;;)
    pause ();
}
