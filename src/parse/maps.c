/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/maps.h"

#include <limits.h>

#include "bytes.h"

static void
mapping_free (gpointer data)
{
  PfsMapping *mapping = data;

  if (!mapping)
    return;
  g_free (mapping->path);
  g_free (mapping);
}

/* The kernel writes newline, and nothing else, as "\012" (seq_path). */
static char *
unescape_path (Bytes raw)
{
  GString *path = g_string_sized_new (raw.len + 1);

  while (raw.len > 0) {
    bool newline = bytes_has_prefix (raw, "\\012");

    g_string_append_c (path, newline ? '\n' : raw.p[0]);
    raw = bytes_skip (raw, newline ? 4 : 1);
  }
  return g_string_free (path, FALSE);
}

/* Names the kernel gives to memory that no directory ever had. */
static bool
is_file (Bytes path, bool deleted)
{
  static const char *const unnamed[] = {
    "/memfd:", "/SYSV", "/anon_hugepage", "/[aio]", "/dmabuf:", "/drm mm object", "/i915"
  };

  if (path.len < 2 || path.p[0] != '/' || memchr (path.p, '\0', path.len) || bytes_equal (path, "/dev/zero"))
    return false;
  for (size_t i = 0; deleted && i < G_N_ELEMENTS (unnamed); i++)
    if (bytes_has_prefix (path, unnamed[i]))
      return false;
  return true;
}

static bool
parse_pair (Bytes field, char sep, uint64_t max, uint64_t *ret_first, uint64_t *ret_second)
{
  Bytes first;

  return bytes_split (&field, sep, &first) && bytes_to_number (first, 16, max, ret_first)
         && bytes_to_number (field, 16, max, ret_second);
}

/* "start-end perms offset major:minor inode", spaces up to a column, path (fs/proc/task_mmu.c, show_map_vma). */
static bool
parse_line (Bytes line, PfsMapping *mapping, Bytes *ret_path)
{
  Bytes range, perms, offset, device, inode;
  uint64_t major, minor, ignored;

  if (!bytes_split (&line, ' ', &range) || !parse_pair (range, '-', UINT64_MAX, &mapping->start, &mapping->end)
      || mapping->start >= mapping->end || !bytes_split (&line, ' ', &perms) || perms.len != 4
      || !bytes_split (&line, ' ', &offset) || !bytes_to_number (offset, 16, UINT64_MAX, &ignored)
      || !bytes_split (&line, ' ', &device) || !parse_pair (device, ':', UINT_MAX, &major, &minor)
      || !bytes_split (&line, ' ', &inode) || !bytes_to_number (inode, 10, UINT64_MAX, &mapping->inode)
      || mapping->inode == 0)
    return false;
  while (line.len > 0 && line.p[0] == ' ')
    line = bytes_skip (line, 1);

  mapping->major = (unsigned int) major;
  mapping->minor = (unsigned int) minor;
  mapping->deleted = bytes_has_suffix (line, " (deleted)");
  if (mapping->deleted)
    line.len -= strlen (" (deleted)");
  *ret_path = line;
  return is_file (line, mapping->deleted);
}

static int
compare_objects (const PfsMapping *a, const PfsMapping *b)
{
  int r = strcmp (a->path, b->path);

  if (r == 0)
    r = (a->major > b->major) - (a->major < b->major);
  if (r == 0)
    r = (a->minor > b->minor) - (a->minor < b->minor);
  if (r == 0)
    r = (a->inode > b->inode) - (a->inode < b->inode);
  return r;
}

static int
by_object (gconstpointer a, gconstpointer b)
{
  const PfsMapping *x = *(PfsMapping *const *) a, *y = *(PfsMapping *const *) b;
  int r = compare_objects (x, y);

  return r != 0 ? r : (x->start > y->start) - (x->start < y->start);
}

static int
by_address (gconstpointer a, gconstpointer b)
{
  const PfsMapping *x = *(PfsMapping *const *) a, *y = *(PfsMapping *const *) b;
  int r = strcmp (x->path, y->path);

  return r != 0 ? r : (x->start > y->start) - (x->start < y->start);
}

/* Keeps the first mapping of each object. */
static GPtrArray *
distinct (GPtrArray *all)
{
  GPtrArray *kept = g_ptr_array_new_with_free_func (mapping_free);

  g_ptr_array_sort (all, by_object);
  for (guint i = 0; i < all->len; i++) {
    PfsMapping *mapping = all->pdata[i];

    if (kept->len > 0 && compare_objects (kept->pdata[kept->len - 1], mapping) == 0)
      continue;
    g_ptr_array_add (kept, mapping);
    all->pdata[i] = NULL;
  }
  g_ptr_array_sort (kept, by_address);
  return kept;
}

GPtrArray *
pfs_maps_parse (const char *content, size_t len)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (mapping_free);
  Bytes rest = bytes_of (content, len), line, path;

  while (bytes_split (&rest, '\n', &line)) {
    const PfsMapping *last = all->len > 0 ? all->pdata[all->len - 1] : NULL;
    PfsMapping mapping = { 0 };

    if (!parse_line (line, &mapping, &path))
      continue;
    mapping.path = unescape_path (path);
    /* The segments of a library follow one another: most of what is mapped is dropped here. */
    if (last && last->start < mapping.start && compare_objects (last, &mapping) == 0)
      g_free (mapping.path);
    else
      g_ptr_array_add (all, g_memdup2 (&mapping, sizeof mapping));
  }
  return distinct (all);
}
