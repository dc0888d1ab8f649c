/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "app.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int
print_version (void)
{
  g_autofree char *description = pfs_session_describe ();
  printf ("peerfs %s\n%s\n", PEERFS_VERSION, description);
  return pfs_app_written ("version");
}

/* Else everything would be printed to a descriptor of ours, for example of /dev/fuse. */
static void
open_standard_descriptors (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl (fd, F_GETFD) < 0 && open ("/dev/null", O_RDWR) != fd) /* the lowest that is free */
      _exit (PFS_EXIT_FAILURE);
  }
}

int
main (int argc, char **argv)
{
  open_standard_descriptors ();
  g_autoptr (GError) error = NULL;
  g_autoptr (PfsOptions) options = pfs_options_parse (argc, argv, &error);
  if (!options) {
    pfs_say ("%s; see peerfs --help", error->message);
    return PFS_EXIT_USAGE;
  }
  switch (options->action) {
  case PFS_ACTION_MOUNT:
    return pfs_app_mount (options);
  case PFS_ACTION_LIST:
    return pfs_app_list (options);
  case PFS_ACTION_WAIT:
    return pfs_app_wait (options);
  case PFS_ACTION_AS:
    return pfs_app_as (options);
  case PFS_ACTION_LINKS:
    return pfs_app_links (options);
  case PFS_ACTION_HELP:
    fputs (pfs_options_help, stdout);
    return pfs_app_written ("help");
  case PFS_ACTION_VERSION:
    return print_version ();
  case PFS_ACTION_NOTHING:
    break;
  }
  return PFS_EXIT_DONE;
}
