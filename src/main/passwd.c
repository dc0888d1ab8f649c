/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "as.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "escape.h"
#include "peerfs/base/fd.h"
#include "peerfs/base/inroot.h"

#define PASSWD_MAX (1024 * 1024)

enum { FIELD_NAME, FIELD_UID = 2, FIELD_HOME = 5, FIELDS = 7 };

/* It becomes a variable of programs, which may print it or build a path of it. */
static gboolean
is_plain (const char *text)
{
  g_autofree char *escaped = pfs_escape_line (text);
  return *text && strlen (text) < PATH_MAX && g_str_equal (escaped, text);
}

gboolean
pfs_passwd_find (GBytes *content, uid_t uid, PfsPasswd *ret)
{
  gsize len;
  const char *bytes = g_bytes_get_data (content, &len);
  g_autofree char *text = g_strndup (bytes ? bytes : "", len);
  g_autofree char *wanted = g_strdup_printf ("%u", (guint) uid);
  char *rest = text;
  for (char *line; (line = strsep (&rest, "\n"));) {
    g_auto (GStrv) fields = g_strsplit (line, ":", FIELDS);
    if (g_strv_length (fields) != FIELDS || !g_str_equal (fields[FIELD_UID], wanted))
      continue;
    if (!is_plain (fields[FIELD_NAME]) || !is_plain (fields[FIELD_HOME]) || *fields[FIELD_HOME] != '/')
      return FALSE;
    ret->name = g_strdup (fields[FIELD_NAME]);
    ret->home = g_strdup (fields[FIELD_HOME]);
    return TRUE;
  }
  return FALSE;
}

/* Opens only a regular file: opening a device of the peer's choice might do something. NULL: nothing to read. */
static GBytes *
read_passwd (int root)
{
  g_autofree char *physical = NULL;
  struct stat st;
  if (pfs_inroot_physical (root, "etc/passwd", NULL, &physical) < 0)
    return NULL;
  pfs_autofd found = pfs_inroot_open (root, physical, O_PATH | O_NOFOLLOW);
  if (found < 0 || fstat (found, &st) < 0 || !S_ISREG (st.st_mode))
    return NULL;
  g_autofree char *again = g_strdup_printf ("/proc/self/fd/%d", found);
  pfs_autofd file = open (again, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  g_autofree char *buffer = file < 0 ? NULL : g_malloc (PASSWD_MAX);
  gsize len = 0;
  for (ssize_t n; buffer && len < PASSWD_MAX && (n = read (file, buffer + len, PASSWD_MAX - len)) > 0;)
    len += (gsize) n;
  return buffer ? g_bytes_new (buffer, len) : NULL;
}

/* True if home is on our own root file system: a program reads start-up files from it, and no peer can put any there.
 * No mount (a shared volume, /proc, our own tree) and no link lies on the part of the way that exists. */
static gboolean
is_out_of_reach (int own_root, const char *home)
{
  struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                          .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
  pfs_autofd fd = (int) syscall (SYS_openat2, own_root, home, &how, sizeof how);
  return fd >= 0 || errno == ENOENT;
}

void
pfs_passwd_look_up (uid_t uid, int peer_root, PfsPasswd *ret)
{
  pfs_autofd own_root = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GBytes) own = own_root < 0 ? NULL : read_passwd (own_root);
  if (own && pfs_passwd_find (own, uid, ret))
    return;
  g_autoptr (GBytes) theirs = peer_root < 0 ? NULL : read_passwd (peer_root);
  if (!theirs || !pfs_passwd_find (theirs, uid, ret) || !is_out_of_reach (own_root, ret->home)) {
    g_free (ret->home);
    ret->home = g_strdup ("/");
  }
}

void
pfs_passwd_clear (PfsPasswd *passwd)
{
  g_clear_pointer (&passwd->name, g_free);
  g_clear_pointer (&passwd->home, g_free);
}
