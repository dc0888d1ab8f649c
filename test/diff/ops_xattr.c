/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes and access control lists. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fsdiff.h"

#define LARGEST 65536

static unsigned char value[LARGEST];

static const char *
name_of (uint32_t number)
{
  static const char *const names[] = {
    "user.a",
    "user.b",
    "user.a",
    "user.c",
    "security.capability",
    "trusted.a",
    "user.",
    "nothing.a",
    "system.posix_acl_access",
  };

  return names[number % (sizeof names / sizeof *names)];
}

static size_t
length_of (uint32_t number)
{
  static const size_t lengths[] = { 0, 1, 10, 100, 1000, 3000, 20 };

  return number % 100 == 0 ? 65536 : lengths[number % 7];
}

/* A valid value for a file capability, where that is what the name stands for. */
static size_t
make_value (const char *name, const Op *op)
{
  struct vfs_cap_data caps = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                               .data = { { .permitted = 1 << 10 } } };
  size_t n = length_of (op->r[1]);

  pattern (op->r[2], value, n);
  if (strcmp (name, "security.capability") == 0 && op->r[3] % 8)
    memcpy (value, &caps, n = sizeof caps);
  return n;
}

static void
op_setxattr (Side *side, const Op *op, Text *text)
{
  const char *name = name_of (op->r[0]);
  size_t n = make_value (name, op);
  int flags = op->r[4] % 5 == 0 ? XATTR_CREATE : op->r[4] % 5 == 1 ? XATTR_REPLACE : 0;

  (void) side;
  say (text, "%ssetxattr (%s, %s, %zu, %d)", op->r[5] & 1 ? "l" : "", path_of (op->path), name, n, flags);
  say_result (text, (op->r[5] & 1 ? lsetxattr : setxattr) (path_of (op->path), name, value, n, flags));
  if (op->r[5] & 2)
    say_lstat (text, path_of (op->path));
}

static void
op_fsetxattr (Side *side, const Op *op, Text *text)
{
  const char *name = name_of (op->r[0]);
  size_t n = make_value (name, op);

  say (text, "fsetxattr ([%u], %s, %zu)", op->slot, name, n);
  say_result (text, fsetxattr (side->fd[op->slot], name, value, n, 0));
}

static void
op_getxattr (Side *side, const Op *op, Text *text)
{
  const char *name = name_of (op->r[0]);
  size_t room = op->r[1] % 4 == 0 ? 0 : op->r[1] % 4 == 1 ? 10 : LARGEST;

  (void) side;
  say (text, "getxattr (%s, %s, %zu)", path_of (op->path), name, room);
  ssize_t n = getxattr (path_of (op->path), name, value, room);
  say_result (text, n);
  if (n > 0 && room)
    say_bytes (text, value, (size_t) n);
}

static void
op_fgetxattr (Side *side, const Op *op, Text *text)
{
  const char *name = name_of (op->r[0]);

  say (text, "fgetxattr ([%u], %s)", op->slot, name);
  ssize_t n = fgetxattr (side->fd[op->slot], name, value, LARGEST);
  say_result (text, n);
  if (n > 0)
    say_bytes (text, value, (size_t) n);
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
op_listxattr (Side *side, const Op *op, Text *text)
{
  char list[4096];
  char *names[64];
  size_t n_names = 0;

  (void) side;
  say (text, "listxattr (%s)", path_of (op->path));
  ssize_t n = listxattr (path_of (op->path), list, op->r[0] % 4 ? sizeof list : 0);
  say_result (text, n);
  if (op->r[0] % 4 == 0)
    return;
  for (ssize_t at = 0; at < n && n_names < 64; at += (ssize_t) strlen (list + at) + 1)
    names[n_names++] = list + at;
  qsort (names, n_names, sizeof *names, compare_names);
  for (size_t i = 0; i < n_names; i++)
    say (text, " %s", names[i]);
}

static void
op_removexattr (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "removexattr (%s, %s)", path_of (op->path), name_of (op->r[0]));
  say_result (text, removexattr (path_of (op->path), name_of (op->r[0])));
}

static const char *
acl_name (const Op *op)
{
  return op->r[5] & 1 ? "system.posix_acl_default" : "system.posix_acl_access";
}

/* Mostly valid: user, one named user, group, one named group, mask, other. */
static size_t
make_acl (const Op *op)
{
  struct {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entry[6];
  } acl = { .header.a_version = POSIX_ACL_XATTR_VERSION };
  static const unsigned short tags[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER };
  size_t n = 0;

  for (unsigned int i = 0; i < 6; i++) {
    if (op->r[1] % 5 == 0 && (tags[i] == ACL_USER || tags[i] == ACL_GROUP || tags[i] == ACL_MASK))
      continue;
    acl.entry[n].e_tag = tags[i];
    acl.entry[n].e_perm = op->r[0] >> (3 * i) & 7;
    acl.entry[n].e_id = tags[i] == ACL_USER    ? 1001 + (op->r[2] & 1)
                        : tags[i] == ACL_GROUP ? 2000u
                                               : (uint32_t) ACL_UNDEFINED_ID;
    n++;
  }
  if (op->r[1] % 17 == 1)
    n--;
  size_t length = sizeof acl.header + n * sizeof acl.entry[0];
  memcpy (value, &acl, length);
  return length;
}

static void
op_set_acl (Side *side, const Op *op, Text *text)
{
  size_t n = make_acl (op);

  (void) side;
  say (text, "setxattr (%s, %s, %zu)", path_of (op->path), acl_name (op), n);
  say_result (text, setxattr (path_of (op->path), acl_name (op), value, n, 0));
  say_lstat (text, path_of (op->path));
}

static void
op_get_acl (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "getxattr (%s, %s)", path_of (op->path), acl_name (op));
  ssize_t n = getxattr (path_of (op->path), acl_name (op), value, LARGEST);
  say_result (text, n);
  if (n > 0)
    say_bytes (text, value, (size_t) n);
}

static void
op_remove_acl (Side *side, const Op *op, Text *text)
{
  (void) side;
  say (text, "removexattr (%s, %s)", path_of (op->path), acl_name (op));
  say_result (text, removexattr (path_of (op->path), acl_name (op)));
  say_lstat (text, path_of (op->path));
}

const Kind kinds_xattr[] = {
  { "setxattr", op_setxattr, 6, false },     { "fsetxattr", op_fsetxattr, 3, false },
  { "getxattr", op_getxattr, 4, false },     { "fgetxattr", op_fgetxattr, 3, false },
  { "listxattr", op_listxattr, 4, false },   { "removexattr", op_removexattr, 3, false },
  { "set_acl", op_set_acl, 6, false },       { "get_acl", op_get_acl, 4, false },
  { "remove_acl", op_remove_acl, 2, false }, { NULL, NULL, 0, false },
};
