/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target once over every file of a folder: what was found once stays found. */
#include <glib.h>

#include "fuzz.h"

int
main (int argc, char **argv)
{
  g_autoptr (GDir) dir = argc == 2 ? g_dir_open (argv[1], 0, NULL) : NULL;
  const char *name;
  guint n = 0;

  if (!dir) {
    fprintf (stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (argv[1], name, NULL);
    g_autofree char *content = NULL;
    gsize len;

    if (!g_file_get_contents (path, &content, &len, NULL)) {
      fprintf (stderr, "cannot read %s\n", path);
      return 1;
    }
    LLVMFuzzerTestOneInput ((const uint8_t *) content, len);
    n++;
  }
  printf ("%u inputs\n", n);
  return n > 0 ? 0 : 1;
}
