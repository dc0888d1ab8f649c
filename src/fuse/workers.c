/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "workers.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

gint64
pfs_worker_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000) + now.tv_nsec / 1000000;
}

void
pfs_workers_wake (PfsWorkers *workers)
{
  pfs_eventfd_raise (workers->wake);
}

/* --- one request --- */

/* Those for which the kernel locks a directory: others who want to look there cannot even be killed. */
static bool
locks_directory (uint32_t opcode)
{
  static const uint8_t opcodes[] = {
    FUSE_LOOKUP, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_CREATE, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_LINK,
    FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME, FUSE_RENAME2,
  };

  return opcode <= UINT8_MAX && memchr (opcodes, (int) opcode, sizeof opcodes);
}

static void
begin (PfsWorker *worker, const struct fuse_in_header *in, const PfsPlace *place)
{
  worker->in = in;
  __atomic_store_n (&worker->since, pfs_worker_now (), __ATOMIC_RELAXED);
  __atomic_store_n (&worker->caller, (pid_t) in->pid, __ATOMIC_RELAXED);
  __atomic_store_n (&worker->container, place->container, __ATOMIC_RELAXED);
  __atomic_store_n (&worker->mount, place->mount, __ATOMIC_RELAXED);
  __atomic_store_n (&worker->remote, place->remote, __ATOMIC_RELAXED);
  if (!place->remote) {
    __atomic_store_n (&worker->unique, in->unique, __ATOMIC_RELEASE);
    return;
  }
  __atomic_store_n (&worker->locks, locks_directory (in->opcode), __ATOMIC_RELAXED);
  __atomic_store_n (&worker->unique, in->unique, __ATOMIC_SEQ_CST);
  if (!__atomic_exchange_n (&worker->workers->tending, 1, __ATOMIC_SEQ_CST))
    pfs_workers_wake (worker->workers);
}

/* Whoever saw the request under way may be about to send a signal, or an answer, which must not hit the next one. */
static void
end (PfsWorker *worker)
{
  __atomic_store_n (&worker->unique, 0, __ATOMIC_SEQ_CST);
  while (__atomic_load_n (&worker->watched, __ATOMIC_SEQ_CST))
    sched_yield ();
  if (worker->answered)
    pfs_stall_let_go (worker);
}

static void
close_late (gpointer data, gpointer user_data)
{
  PfsWorkers *workers = user_data;
  struct fuse_buf buf = { .mem = data, .size = ((const struct fuse_in_header *) data)->len };

  fuse_session_process_buf (workers->fuse, &buf);
  g_free (data);
}

/* Nobody waits for the end of a close; but to close a file of a dead mount may take for ever. */
static void
close_later (PfsWorkers *workers, const struct fuse_in_header *in)
{
  g_mutex_lock (&workers->lock);
  if (!workers->late)
    workers->late = g_thread_pool_new (close_late, workers, 1, TRUE, NULL);
  g_thread_pool_push (workers->late, g_memdup2 (in, in->len), NULL);
  g_mutex_unlock (&workers->lock);
}

/* Requests about no node, and those that only let go of one, are never refused. */
static bool
is_about_node (const struct fuse_in_header *in)
{
  return in->nodeid != 0 && in->nodeid != FUSE_ROOT_ID && in->opcode != FUSE_FORGET && in->opcode != FUSE_FLUSH;
}

void
pfs_worker_process (PfsWorker *worker, struct fuse_buf *buf, guint busy, bool last)
{
  PfsWorkers *workers = worker->workers;
  const struct fuse_in_header *in = buf->mem;
  PfsPlace place = { 0 };

  PfsNode *node = is_about_node (in) ? pfs_tree_node (workers->session->tree, in->nodeid) : NULL;
  if (node)
    place = pfs_node_place (node);
  if (in->opcode == FUSE_INTERRUPT)
    pfs_stall_interrupted (workers, ((const struct fuse_interrupt_in *) (in + 1))->unique);
  if (g_atomic_int_get (&workers->orphans) > 0)
    pfs_stall_keep (workers, in);
  int r = place.container ? pfs_stall_admit (worker, &place, busy, last) : 0;
  if (r < 0) {
    if (in->opcode == FUSE_RELEASE || in->opcode == FUSE_RELEASEDIR)
      close_later (workers, in);
    else
      pfs_stall_refuse (workers, in->unique, r);
    return;
  }
  begin (worker, in, &place);
  fuse_session_process_buf (workers->fuse, buf);
  end (worker);
}

/* --- all of them --- */

PfsWorker *
pfs_worker_enter (PfsWorkers *workers)
{
  PfsWorker *worker = g_new0 (PfsWorker, 1);

  worker->workers = workers;
  worker->thread = pthread_self ();
  g_mutex_lock (&workers->lock);
  g_ptr_array_add (workers->all, worker);
  g_mutex_unlock (&workers->lock);
  return worker;
}

void
pfs_worker_leave (PfsWorker *worker)
{
  PfsWorkers *workers = worker->workers;

  g_mutex_lock (&workers->lock);
  g_ptr_array_remove_fast (workers->all, worker);
  g_mutex_unlock (&workers->lock);
  g_free (worker);
}

bool
pfs_workers_idle (PfsWorkers *workers)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&workers->lock);

  return workers->all->len == 0 && !workers->late;
}

PfsWorkers *
pfs_workers_new (PfsSession *session)
{
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);

  if (fd < 0)
    return NULL;
  PfsWorkers *workers = g_new0 (PfsWorkers, 1);
  workers->session = session;
  workers->fuse = session->fuse;
  workers->wake = fd;
  g_mutex_init (&workers->lock);
  workers->all = g_ptr_array_new ();
  workers->interrupted = g_array_new (FALSE, FALSE, sizeof (PfsInterrupted));
  return workers;
}

void
pfs_workers_free (PfsWorkers *workers)
{
  close (workers->wake);
  g_ptr_array_unref (workers->all);
  g_array_unref (workers->interrupted);
  g_mutex_clear (&workers->lock);
  g_free (workers);
}
