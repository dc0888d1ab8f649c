/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* keyring NAME COMMAND [ARG...]: runs it with a session keyring that has a key of that name. */
#include <linux/keyctl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  if (argc < 3 || syscall (SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0
      || syscall (SYS_add_key, "user", argv[1], "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
    return 1;
  execvp (argv[2], argv + 2);
  return 127;
}
