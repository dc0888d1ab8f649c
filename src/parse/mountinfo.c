/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/mountinfo.h"

#include <limits.h>

#include "bytes.h"

struct PfsMountIter {
  Bytes rest;
  GString *line; /* of the last step: its fields point into it */
};

PfsMountIter *
pfs_mount_iter_new (GBytes *content)
{
  PfsMountIter *iter = g_new0 (PfsMountIter, 1);

  iter->rest = bytes_of_content (content);
  iter->line = g_string_new (NULL);
  return iter;
}

void
pfs_mount_iter_free (PfsMountIter *iter)
{
  if (!iter)
    return;
  g_string_free (iter->line, TRUE);
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

static bool
field_to_ulong (const char *field, unsigned long *ret)
{
  uint64_t number;

  if (!field || !bytes_to_number (bytes_of (field, strlen (field)), 10, ULONG_MAX, &number))
    return false;
  *ret = (unsigned long) number;
  return true;
}

static bool
field_to_device (char *field, unsigned int *ret_major, unsigned int *ret_minor)
{
  char *colon = field ? strchr (field, ':') : NULL;
  uint64_t major, minor;

  if (!colon || !bytes_to_number (bytes_of (field, (size_t) (colon - field)), 10, UINT_MAX, &major)
      || !bytes_to_number (bytes_of (colon + 1, strlen (colon + 1)), 10, UINT_MAX, &minor))
    return false;
  *ret_major = (unsigned int) major;
  *ret_minor = (unsigned int) minor;
  return true;
}

/* "36 35 98:0 /root /mount/point options [optional ...] - fstype source super-options". Fields may be empty: the source
 * of some mounts is. */
static bool
parse_line (char *line, PfsMountLine *ret)
{
  PfsMountLine out = { 0 };
  char *rest = line, *field;

  if (!field_to_ulong (strsep (&rest, " "), &out.id) || !field_to_ulong (strsep (&rest, " "), &out.parent_id)
      || !field_to_device (strsep (&rest, " "), &out.major, &out.minor))
    return false;

  char *root = strsep (&rest, " "), *mount_point = strsep (&rest, " "), *options = strsep (&rest, " ");
  do
    field = strsep (&rest, " ");
  while (field && strcmp (field, "-") != 0);
  char *fstype = strsep (&rest, " "), *source = strsep (&rest, " ");
  if (!rest || root[0] == '\0' || mount_point[0] != '/' || fstype[0] == '\0')
    return false;

  out.root = unescape (root);
  out.mount_point = unescape (mount_point);
  out.options = unescape (options);
  out.fstype = unescape (fstype);
  out.source = unescape (source);
  out.super_options = unescape (rest);
  *ret = out;
  return true;
}

bool
pfs_mount_iter_next (PfsMountIter *iter, PfsMountLine *ret)
{
  Bytes line;

  while (bytes_split (&iter->rest, '\n', &line)) {
    if (line.len == 0 || memchr (line.p, '\0', line.len))
      continue;
    g_string_truncate (iter->line, 0);
    g_string_append_len (iter->line, line.p, (gssize) line.len);
    if (parse_line (iter->line->str, ret))
      return true;
  }
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

bool
pfs_mountinfo_fstype (GBytes *content, unsigned int major, unsigned int minor, char *buf, size_t buf_len)
{
  g_autoptr (PfsMountIter) iter = pfs_mount_iter_new (content);
  PfsMountLine line;

  if (buf_len > 0)
    buf[0] = '\0';
  while (pfs_mount_iter_next (iter, &line))
    if (line.major == major && line.minor == minor) {
      g_strlcpy (buf, line.fstype, buf_len);
      return true;
    }
  return false;
}

static const char *const remote_types[] = {
  "nfs",  "nfs4",   "cifs",     "smb3", "9p",    "ceph",   "fuse", "fuseblk",   "virtiofs", "afs", "lustre",
  "gpfs", "beegfs", "orangefs", "gfs2", "ocfs2", "vboxsf", "coda", "glusterfs", "autofs",   NULL,
};

bool
pfs_mount_type_remote (const char *type)
{
  return g_strv_contains (remote_types, type) || g_str_has_prefix (type, "fuse.");
}
