/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/maps.h"

#include <limits.h>

#include "bytes.h"

static void
mapping_free (gpointer data)
{
  g_free (((PfsMapping *) data)->path);
  g_free (data);
}

/* The kernel's names for memory that was never in a directory. */
static bool
is_file (Bytes path, bool deleted)
{
  static const char *const unnamed[] = { "/memfd:",  "/SYSV",          "/anon_hugepage", "/[aio]",
                                         "/dmabuf:", "/drm mm object", "/i915" };

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

/* "start-end perms offset major:minor inode", spaces up to a column, path (fs/proc/task_mmu.c, show_map_vma). In that
 * the kernel escapes only newlines, as "\012" (seq_path). Returns true and fills *mapping, whose path is the caller's,
 * if it is a mapped file. */
static bool
parse_line (Bytes line, PfsMapping *mapping)
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
  if (!is_file (line, mapping->deleted))
    return false;
  GString *path = g_string_new_len (line.p, (gssize) line.len);
  g_string_replace (path, "\\012", "\n", 0);
  mapping->path = g_string_free (path, FALSE);
  return true;
}

/* --- all of a process --- */

struct PfsMappedFiles {
  GHashTable *files; /* a set of PfsMapping */
  size_t size;       /* of their paths */
  bool full;
};

static guint
hash_file (gconstpointer data)
{
  const PfsMapping *m = data;
  return g_int64_hash (&m->inode) ^ g_str_hash (m->path);
}

static gboolean
same_file (gconstpointer a, gconstpointer b)
{
  const PfsMapping *x = a, *y = b;
  return x->inode == y->inode && x->major == y->major && x->minor == y->minor && strcmp (x->path, y->path) == 0;
}

static int
by_address (gconstpointer a, gconstpointer b)
{
  const PfsMapping *x = *(PfsMapping *const *) a, *y = *(PfsMapping *const *) b;
  int r = strcmp (x->path, y->path);

  return r != 0 ? r : (x->start > y->start) - (x->start < y->start);
}

PfsMappedFiles *
pfs_mapped_files_new (void)
{
  PfsMappedFiles *files = g_new0 (PfsMappedFiles, 1);

  files->files = g_hash_table_new_full (hash_file, same_file, mapping_free, NULL);
  return files;
}

void
pfs_mapped_files_free (PfsMappedFiles *files)
{
  g_hash_table_unref (files->files);
  g_free (files);
}

/* The first mapping of a file counts: most lines are further segments of a library. */
static void
add_mapping (PfsMappedFiles *files, PfsMapping *mapping)
{
  PfsMapping *known = g_hash_table_lookup (files->files, mapping);
  size_t size = strlen (mapping->path) + 1;

  if (known && mapping->start < known->start) {
    known->start = mapping->start;
    known->end = mapping->end;
  }
  files->full = !known
                && (g_hash_table_size (files->files) >= PFS_MAPS_FILES_MAX || files->size + size > PFS_MAPS_PATHS_MAX);
  if (known || files->full)
    return;
  PfsMapping *kept = g_memdup2 (mapping, sizeof *mapping);
  mapping->path = NULL;
  g_hash_table_add (files->files, kept);
  files->size += size;
}

bool
pfs_mapped_files_add (PfsMappedFiles *files, const char *line, size_t len)
{
  PfsMapping mapping;

  if (!files->full && parse_line (bytes_of (line, len), &mapping)) {
    add_mapping (files, &mapping);
    g_free (mapping.path);
  }
  return !files->full;
}

GPtrArray *
pfs_mapped_files_steal (PfsMappedFiles *files)
{
  GPtrArray *all = g_ptr_array_new_full (g_hash_table_size (files->files), mapping_free);
  GHashTableIter iter;
  gpointer mapping;

  g_hash_table_iter_init (&iter, files->files);
  while (g_hash_table_iter_next (&iter, &mapping, NULL)) {
    g_hash_table_iter_steal (&iter);
    g_ptr_array_add (all, mapping);
  }
  files->size = 0;
  g_ptr_array_sort (all, by_address);
  return all;
}
