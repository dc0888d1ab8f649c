/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/mountinfo.h"

#include <limits.h>
#include <sys/sysmacros.h>

#include "text.h"

struct PfsMountIter {
  char *text, *rest; /* fields of lines point into the text */
};

PfsMountIter *
pfs_mount_iter_new (GBytes *content)
{
  PfsMountIter *iter = g_new0 (PfsMountIter, 1);

  iter->rest = iter->text = text_of (g_bytes_get_data (content, NULL), g_bytes_get_size (content));
  return iter;
}

void
pfs_mount_iter_free (PfsMountIter *iter)
{
  g_free (iter->text);
  g_free (iter);
}

static bool
is_octal (char c)
{
  return c >= '0' && c <= '7';
}

/* Undoes the kernel's \ooo (fs/proc_namespace.c, mangle) in place, once: '\' itself comes as \134. */
static char *
unescape (char *field)
{
  char *to = field;

  for (const char *from = field; *from; to++) {
    if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && is_octal (from[2]) && is_octal (from[3])) {
      int byte = (from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0');

      if (byte != 0) {
        *to = (char) byte;
        from += 4;
        continue;
      }
    }
    *to = *from++;
  }
  *to = '\0';
  return field;
}

/* Cuts a number off *rest, which end follows. */
static bool
take_number (char **rest, const char *end, guint64 max, guint64 *ret)
{
  const char *field = strsep (rest, end);

  return *rest && g_ascii_string_to_unsigned (field, 10, 0, max, ret, NULL);
}

/* "36 35 98:0 /root /mount/point options [optional ...] - fstype source super-options". Fields may be empty: the source
 * of some mounts is. */
static bool
parse_line (char *line, PfsMountLine *ret)
{
  guint64 id, parent_id, major, minor;
  char *rest = line, *field;

  if (!take_number (&rest, " ", ULONG_MAX, &id) || !take_number (&rest, " ", ULONG_MAX, &parent_id)
      || !take_number (&rest, ":", UINT_MAX, &major) || !take_number (&rest, " ", UINT_MAX, &minor))
    return false;
  char *root = strsep (&rest, " "), *mount_point = strsep (&rest, " "), *options = strsep (&rest, " ");
  do
    field = strsep (&rest, " ");
  while (field && strcmp (field, "-") != 0);
  char *fstype = strsep (&rest, " "), *source = strsep (&rest, " ");
  if (!rest || root[0] == '\0' || mount_point[0] != '/' || fstype[0] == '\0')
    return false;

  *ret = (PfsMountLine) {
    .id = (unsigned long) id,
    .parent_id = (unsigned long) parent_id,
    .major = (unsigned int) major,
    .minor = (unsigned int) minor,
    .root = unescape (root),
    .mount_point = unescape (mount_point),
    .options = unescape (options),
    .fstype = unescape (fstype),
    .source = unescape (source),
    .super_options = unescape (rest),
  };
  return true;
}

bool
pfs_mount_iter_next (PfsMountIter *iter, PfsMountLine *ret)
{
  for (char *line; (line = strsep (&iter->rest, "\n"));)
    if (parse_line (line, ret))
      return true;
  return false;
}

char *
pfs_mountinfo_root (GBytes *content)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  char *key = NULL;
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line)) {
    if (strcmp (line.mount_point, "/") != 0)
      continue;
    g_free (key);
    key = g_strdup_printf ("%u:%u %s %s %s", line.major, line.minor, line.root, line.source, line.super_options);
  }
  return key;
}

char *
pfs_mountinfo_fstype (GBytes *content, unsigned int major, unsigned int minor)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    if (line.major == major && line.minor == minor)
      return g_strdup (line.fstype);
  return NULL;
}

dev_t
pfs_mountinfo_device (GBytes *content, guint64 id)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  while (pfs_mount_iter_next (iter, &line))
    if (line.id == id)
      return makedev (line.major, line.minor);
  return 0;
}

static const char *const remote_types[] = {
  "nfs",  "nfs4",   "cifs",     "smb3", "9p",    "ceph",   "fuse", "fuseblk",   "virtiofs", "afs", "lustre",
  "gpfs", "beegfs", "orangefs", "gfs2", "ocfs2", "vboxsf", "coda", "glusterfs", "autofs",   NULL,
};

bool
pfs_mount_type_remote (const char *type)
{
  return g_strv_contains (remote_types, type) || g_str_has_prefix (type, "fuse.")
         || g_str_has_prefix (type, "fuseblk.");
}
