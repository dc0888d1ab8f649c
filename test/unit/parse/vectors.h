/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of tab-separated vectors, whose cells write newline as \n and '\' as \\. */
#pragma once

#include <glib.h>

typedef void (*VectorCheck) (char **cells);

/* Runs check over every row but the heading; rows shorter than n_cells are padded with "". Returns how many. */
static inline guint
vectors_run (const char *path, guint n_cells, VectorCheck check)
{
  g_autofree char *content = NULL;
  g_auto (GStrv) lines = NULL;
  guint rows = 0;

  if (!g_file_get_contents (path, &content, NULL, NULL))
    return 0;
  lines = g_strsplit (g_strchomp (content), "\n", -1);
  for (guint i = 1; lines[0] && lines[i]; i++) {
    g_auto (GStrv) cells = g_strsplit (lines[i], "\t", -1);
    g_autoptr (GPtrArray) plain = g_ptr_array_new_with_free_func (g_free);

    for (guint j = 0; cells[j]; j++)
      g_ptr_array_add (plain, g_strcompress (cells[j]));
    while (plain->len < n_cells)
      g_ptr_array_add (plain, g_strdup (""));
    g_ptr_array_add (plain, NULL);
    check ((char **) plain->pdata);
    rows++;
  }
  return rows;
}
