/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peerfs/parse/maps.h"

#include <limits.h>

#include "text.h"

static void
mapping_free (gpointer data)
{
  g_free (((PfsMapping *) data)->path);
  g_free (data);
}

/* The kernel's names for memory that was never in a directory. */
static bool
is_file (const char *path, bool deleted)
{
  static const char *const unnamed[] = { "/memfd:",  "/SYSV",          "/anon_hugepage", "/[aio]",
                                         "/dmabuf:", "/drm mm object", "/i915" };

  if (path[0] != '/' || !path[1] || strcmp (path, "/dev/zero") == 0)
    return false;
  for (size_t i = 0; deleted && i < G_N_ELEMENTS (unnamed); i++)
    if (g_str_has_prefix (path, unnamed[i]))
      return false;
  return true;
}

static bool
parse_pair (char *second, const char *separator, guint64 max, guint64 *ret_first, guint64 *ret_second)
{
  char *first = strsep (&second, separator);

  return second && g_ascii_string_to_unsigned (first, 16, 0, max, ret_first, NULL)
         && g_ascii_string_to_unsigned (second, 16, 0, max, ret_second, NULL);
}

/* "start-end perms offset major:minor inode", spaces up to a column, path (fs/proc/task_mmu.c, show_map_vma). In that
 * the kernel escapes only newlines, as "\012" (seq_path). Returns true and fills *mapping, whose path is the caller's,
 * if it is a mapped file. */
static bool
parse_line (const char *line, PfsMapping *mapping)
{
  g_auto (GStrv) fields = g_strsplit (line, " ", 6); /* range, perms, offset, device, inode, path */
  guint64 start, end, offset, major, minor, inode;

  if (g_strv_length (fields) != 6 || !parse_pair (fields[0], "-", G_MAXUINT64, &start, &end) || start >= end
      || strlen (fields[1]) != 4 || !g_ascii_string_to_unsigned (fields[2], 16, 0, G_MAXUINT64, &offset, NULL)
      || !parse_pair (fields[3], ":", UINT_MAX, &major, &minor)
      || !g_ascii_string_to_unsigned (fields[4], 10, 1, G_MAXUINT64, &inode, NULL))
    return false;
  g_autofree char *name = g_strdup (fields[5] + strspn (fields[5], " "));
  bool deleted = g_str_has_suffix (name, " (deleted)");
  if (deleted)
    name[strlen (name) - strlen (" (deleted)")] = '\0';
  if (!is_file (name, deleted))
    return false;
  GString *path = g_string_new (name);
  g_string_replace (path, "\\012", "\n", 0);
  *mapping = (PfsMapping) {
    .path = g_string_free (path, FALSE),
    .start = start,
    .end = end,
    .major = (unsigned int) major,
    .minor = (unsigned int) minor,
    .inode = inode,
    .deleted = deleted,
  };
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
  g_autofree char *text = text_of (line, len);
  PfsMapping mapping;

  if (!files->full && strlen (text) == len && parse_line (text, &mapping)) {
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
