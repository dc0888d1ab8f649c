/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over a million files makes a million nodes, which the kernel forgets only when it is short of memory. Beyond a
 * bound it is asked to forget idle ones. That is a job: the kernel takes the lock of the directory, which a caller that
 * waits for a dead mount may hold. */
#include "requests.h"

#include <malloc.h>
#include <string.h>

#define NODES_MAX 400000u        /* about 75 MiB, */
#define NODES_OF_LIMIT (3 * 192) /* and a third of what the container may have, a node being 192 bytes */
#define NODES_BATCH 4096u
#define FRUITLESS_MAX 100u            /* rounds after which all that is left is taken to be in use */
#define ENDED_US (G_USEC_PER_SEC / 4) /* from a container's end until its callers should be gone */
#define GIVE_BACK_MIN 1024            /* nodes whose memory is worth giving back: 128 KiB */
/* Bytes: from there on memory comes from the system alone, and goes back to it at once. */
#define MMAP_MIN (128 * 1024)

/* Asks the kernel to forget these names. One that is in use, or gone meanwhile, stays as it is. */
static void
forget (PfsSession *session, const GPtrArray *names)
{
  for (guint i = 0; i < names->len && !fuse_session_exited (session->fuse); i++) {
    const PfsName *name = names->pdata[i];

    fuse_lowlevel_notify_inval_entry (session->fuse, name->parent->number, name->name, strlen (name->name));
  }
}

/* The kernel's answers come a moment later. */
static void
trim (gpointer data)
{
  PfsSession *session = data;
  guint fruitless = 0, low = session->nodes_max - session->nodes_max / 8;

  while (fruitless < FRUITLESS_MAX && !fuse_session_exited (session->fuse)) {
    size_t before = pfs_tree_size (session->tree);
    g_autoptr (GPtrArray) names = before > low ? pfs_tree_idle_names (session->tree, NODES_BATCH) : NULL;

    if (!names || names->len == 0)
      break;
    forget (session, names);
    bool fewer = pfs_tree_size (session->tree) < before;
    fruitless = fewer ? 0 : fruitless + 1;
    if (!fewer)
      g_usleep (1000);
  }
}

/* Unless it is under way already. */
static void
start (PfsSession *session, void (*func) (gpointer session))
{
  pfs_jobs_start (session->jobs, (PfsNodeMount) { .mount = (gpointer) func }, func, session);
}

void
pfs_trim_poke (PfsSession *session)
{
  if (pfs_tree_size (session->tree) > session->nodes_max)
    start (session, trim);
}

/* The kernel keeps the names that a caller used while their container ended. A moment later it is asked to forget them,
 * and again at the next container's end. */
static void
forget_ended (gpointer data)
{
  PfsSession *session = data;

  g_usleep (ENDED_US);
  g_autoptr (GPtrArray) names = pfs_tree_ended_names (session->tree, NODES_BATCH);
  forget (session, names);
}

void
pfs_trim_ended (PfsSession *session)
{
  start (session, forget_ended);
}

/* The C library keeps freed memory until it is asked for it. That takes longer the more there is. So it is asked each
 * time an eighth of the nodes is gone. */
void
pfs_trim_forgot (PfsSession *session, size_t n)
{
  guint forgotten = (guint) g_atomic_int_add (&session->forgotten, (gint) n) + (guint) n;

  if (forgotten < GIVE_BACK_MIN || forgotten < pfs_tree_size (session->tree) / 8)
    return;
  g_atomic_int_set (&session->forgotten, 0);
  malloc_trim (0);
}

/* The limit of our cgroup, as a container sees it (version 2 or 1); 0: none, as on the machine itself. */
static guint64
memory_limit (void)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents ("/sys/fs/cgroup/memory.max", &text, NULL, NULL)
      && !g_file_get_contents ("/sys/fs/cgroup/memory/memory.limit_in_bytes", &text, NULL, NULL))
    return 0;
  return g_ascii_strtoull (text, NULL, 10);
}

void
pfs_trim_init (PfsSession *session)
{
  guint64 limit = memory_limit ();

  session->nodes_max = limit ? (guint) MIN (NODES_MAX, limit / NODES_OF_LIMIT) : NODES_MAX;
  /* One heap for all threads: memory goes back to the system only if nothing in use lies between. */
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_MMAP_THRESHOLD, MMAP_MIN);
}
