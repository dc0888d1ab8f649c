/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the options to the table of containers. */
#include <errno.h>

#include "app.h"

/* A PfsNoticeFunc: one line on stderr. */
static void
tell (const PfsNotice *notice, gpointer data)
{
  (void) data;
  if (notice->kind == PFS_NOTICE_AMBIGUOUS)
    pfs_say ("warning: --name %s matches more than one container and counts for none; give more digits of the id",
             notice->name);
  else
    pfs_say ("warning: %.12s and %.12s both claim the name '%s'; the first has it", notice->id, notice->other,
             notice->name);
}

static PfsProc *
open_proc (const PfsOptions *options)
{
  g_autoptr (PfsProc) proc = NULL;
  int r = pfs_proc_open (options->proc, &proc);
  if (r == -ENODATA)
    pfs_say ("%s shows no processes; give --proc a mounted proc file system or a saved copy of one", options->proc);
  else if (r < 0)
    pfs_say ("cannot open %s: %s; give --proc a mounted proc file system", options->proc, g_strerror (-r));
  else if (options->action != PFS_ACTION_LIST && !proc->live)
    pfs_say ("%s is not a live proc file system; a saved copy is good for --list alone", options->proc);
  else
    return g_steal_pointer (&proc);
  return NULL;
}

int
pfs_app_open (const PfsOptions *options, PfsTable **ret_table, GPtrArray **ret_containers)
{
  g_autoptr (PfsProc) proc = open_proc (options);
  if (!proc)
    return PFS_EXIT_FAILURE;
  PfsTableOptions table_options = options->table;
  table_options.may_fork = options->action != PFS_ACTION_MOUNT;
  *ret_table = pfs_table_new (proc, &table_options);
  /* The session logs conflicts of names. */
  if (options->action != PFS_ACTION_MOUNT)
    pfs_table_set_notice_func (*ret_table, tell, NULL);
  int status = pfs_app_containers (*ret_table, ret_containers);
  return status == PFS_EXIT_DONE && !pfs_app_check_scope (*ret_table, options) ? PFS_EXIT_FAILURE : status;
}
