/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that wait for something in a peer that does not answer: a mount whose server hangs.
 *
 * The thread that works on one is lost for as long as that lasts: below FUSE the kernel lets only a process that dies go
 * (fs/fuse/dev.c, request_wait_answer), on NFS likewise. So its caller is answered in its place as soon as he is killed;
 * or after a while, where others wait for him in the kernel, who cannot be killed; and the number of threads that a
 * mount, and a container, may take is bounded. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peerfs/base/read.h"
#include "workers.h"

#define STALLED_MS 1000         /* whoever has waited for so long may do so for ever */
#define SAY_AGAIN_MS 60000
#define TEND_MS 100
#define GRACE_MS 200            /* for the thread to answer by itself */
#define LOCKED_MS 10000         /* for how long a directory may be locked */
#define ARGUMENTS_MAX 64        /* bytes in which a request may name nodes and files */
#define STATUS_MAX 16384        /* of /proc/<pid>/status */

/* --- how many wait for what --- */

typedef struct {
  guint stalled, in_container, on_mount;        /* for longer than STALLED_MS */
  guint young_on_mount;
} Count;

static Count
count_locked (PfsWorkers *workers, const PfsPlace *place)
{
  gint64 now = pfs_worker_now ();
  Count count = { 0 };

  for (guint i = 0; i < workers->all->len; i++) {
    PfsWorker *worker = workers->all->pdata[i];

    if (__atomic_load_n (&worker->unique, __ATOMIC_ACQUIRE) == 0)
      continue;
    bool stalled = now - __atomic_load_n (&worker->since, __ATOMIC_RELAXED) >= STALLED_MS;
    bool same = __atomic_load_n (&worker->container, __ATOMIC_RELAXED) == place->container;
    bool same_mount = same && __atomic_load_n (&worker->mount, __ATOMIC_RELAXED) == place->mount;

    count.stalled += stalled;
    count.in_container += stalled && same;
    count.on_mount += stalled && same_mount;
    count.young_on_mount += !stalled && same_mount;
  }
  return count;
}

/* A container may take half of what all others have left of the threads, so that there is always something left for the
 * next one. Where there are hardly any left even a young request counts, if it is one that somebody else answers. */
static bool
is_too_much (const Count *count, const PfsPlace *place, guint busy, bool last)
{
  if (count->on_mount >= PFS_STALL_LIMIT || 2 * count->in_container > PFS_WORKERS_MAX - count->stalled)
    return true;
  if (last && (place->remote || count->in_container > 0))
    return true;
  return place->remote && busy >= PFS_WORKERS_MAX / 2 && count->on_mount + count->young_on_mount >= PFS_STALL_LIMIT;
}

static void
say_stalled (const PfsPlace *place, guint waiting)
{
  g_autofree char *name = pfs_container_name (place->container);

  fuse_log (FUSE_LOG_WARNING, "event=stalled name=%s waiting=%u\n", name, waiting);
}

int
pfs_stall_admit (PfsWorker *worker, const PfsPlace *place, guint busy, bool last)
{
  PfsWorkers *workers = worker->workers;

  if (busy <= PFS_STALL_LIMIT && !last)
    return 0;
  g_mutex_lock (&workers->lock);
  Count count = count_locked (workers, place);
  bool refuse = is_too_much (&count, place, busy, last);
  gint64 now = pfs_worker_now ();
  guint64 serial = pfs_container_serial (place->container);
  bool say = refuse && (workers->said != serial || now - workers->said_at >= SAY_AGAIN_MS);
  if (say) {
    workers->said = serial;
    workers->said_at = now;
  }
  g_mutex_unlock (&workers->lock);
  if (say)
    say_stalled (place, count.in_container);
  return refuse ? -EBUSY : 0;
}

void
pfs_stall_refuse (PfsWorkers *workers, guint64 unique, int r)
{
  struct fuse_out_header out = { .len = sizeof out, .error = r, .unique = unique };

  /* ENOENT: it was answered meanwhile. */
  if (write (fuse_session_fd (workers->fuse), &out, sizeof out) < 0)
    return;
}

/* --- answers in the place of a thread --- */

/* From the answer on the kernel may let go of what the request is about: pfs_stall_keep(). */
static void
answer_locked (PfsWorkers *workers, PfsWorker *worker, guint64 unique, int r)
{
  __atomic_store_n (&worker->watched, 1, __ATOMIC_SEQ_CST);
  bool busy = __atomic_load_n (&worker->unique, __ATOMIC_SEQ_CST) == unique && !worker->answered;
  if (busy) {
    worker->answered = unique;
    g_atomic_int_inc (&workers->orphans);
  }
  __atomic_store_n (&worker->watched, 0, __ATOMIC_SEQ_CST);
  if (busy)
    pfs_stall_refuse (workers, unique, r);
}

/* Is the number, of a node or file, among the arguments of the request that the worker is busy with? */
static bool
is_about (const PfsWorker *worker, uint64_t number)
{
  const struct fuse_in_header *in = worker->in;
  const uint64_t *words = (const uint64_t *) (in + 1);
  size_t n = MIN (in->len - sizeof *in, ARGUMENTS_MAX) / sizeof *words;

  for (size_t i = 0; i < n; i++)
    if (words[i] == number)
      return true;
  return in->nodeid == number;
}

static void
keep_locked (PfsWorkers *workers, uint64_t number, bool is_file)
{
  for (guint i = 0; i < workers->all->len; i++) {
    PfsWorker *worker = workers->all->pdata[i];

    if (!worker->answered || number == 0 || number == FUSE_ROOT_ID || !is_about (worker, number))
      continue;
    PfsNode *node = is_file ? NULL : pfs_tree_node (workers->session->tree, number);
    if (is_file)
      worker->files = g_slist_prepend (worker->files, pfs_file_ref ((PfsFile *) (uintptr_t) number));
    else if (node)
      worker->nodes = g_slist_prepend (worker->nodes, pfs_node_ref (node));
  }
}

void
pfs_stall_keep (PfsWorkers *workers, const struct fuse_in_header *in)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&workers->lock);

  if (in->opcode == FUSE_FORGET) {
    keep_locked (workers, in->nodeid, false);
  } else if (in->opcode == FUSE_RELEASE || in->opcode == FUSE_RELEASEDIR) {
    keep_locked (workers, ((const struct fuse_release_in *) (in + 1))->fh, true);
  } else if (in->opcode == FUSE_BATCH_FORGET) {
    const struct fuse_batch_forget_in *batch = (const struct fuse_batch_forget_in *) (in + 1);
    const struct fuse_forget_one *one = (const struct fuse_forget_one *) (batch + 1);

    for (uint32_t i = 0; i < batch->count; i++)
      keep_locked (workers, one[i].nodeid, false);
  }
}

void
pfs_stall_let_go (PfsWorker *worker)
{
  PfsWorkers *workers = worker->workers;

  g_mutex_lock (&workers->lock);
  GSList *nodes = g_steal_pointer (&worker->nodes);
  GSList *files = g_steal_pointer (&worker->files);
  worker->answered = 0;
  g_atomic_int_add (&workers->orphans, -1);
  g_mutex_unlock (&workers->lock);
  g_slist_free_full (files, (GDestroyNotify) pfs_file_unref);
  g_slist_free_full (nodes, (GDestroyNotify) pfs_node_unref);
}

void
pfs_stall_interrupted (PfsWorkers *workers, guint64 unique)
{
  PfsInterrupted interrupted = { unique, pfs_worker_now () };

  g_mutex_lock (&workers->lock);
  g_array_append_val (workers->interrupted, interrupted);
  g_mutex_unlock (&workers->lock);
  pfs_workers_wake (workers);
}

/* Whoever dies has SIGKILL pending, whichever signal it was that kills him (kernel/signal.c, complete_signal). */
static bool
is_dying (pid_t caller)
{
  g_autoptr (GBytes) content = NULL;
  char path[48];

  g_snprintf (path, sizeof path, "/proc/%d/status", (int) caller);
  if (caller <= 0 || pfs_read_prefix_at (AT_FDCWD, path, STATUS_MAX, &content) < 0)
    return false;
  g_autofree char *text = g_strndup (g_bytes_get_data (content, NULL), g_bytes_get_size (content));
  const char *pending = strstr (text, "\nSigPnd:\t");
  return pending && (strtoull (pending + strlen ("\nSigPnd:\t"), NULL, 16) & (1u << (SIGKILL - 1)));
}

static PfsWorker *
find_locked (PfsWorkers *workers, guint64 unique)
{
  for (guint i = 0; i < workers->all->len; i++) {
    PfsWorker *worker = workers->all->pdata[i];

    if (__atomic_load_n (&worker->unique, __ATOMIC_ACQUIRE) == unique)
      return worker;
  }
  return NULL;
}

/* For what can be interrupted. To be sent again and again: the first one may come before the system call. */
static void
signal_locked (PfsWorker *worker, guint64 unique)
{
  __atomic_store_n (&worker->watched, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n (&worker->unique, __ATOMIC_SEQ_CST) == unique)
    pthread_kill (worker->thread, SIGUSR1);
  __atomic_store_n (&worker->watched, 0, __ATOMIC_SEQ_CST);
}

/* Has somebody waited so long on the same mount that it seems dead? */
static bool
is_dead_locked (PfsWorkers *workers, const PfsWorker *worker)
{
  PfsPlace place = { worker->container, worker->mount, worker->remote };

  return place.mount && count_locked (workers, &place).on_mount > 0;
}

/* False: nothing is to be done for this one any more. A caller who does not die goes on waiting, as he would for the
 * peer's file itself, unless its server lets him go. */
static bool
tend_interrupted_locked (PfsWorkers *workers, const PfsInterrupted *interrupted)
{
  PfsWorker *worker = find_locked (workers, interrupted->unique);
  gint64 age = pfs_worker_now () - interrupted->since;

  if (!worker)
    return age < STALLED_MS;    /* who has read it may not have said so yet */
  bool dying = is_dying (__atomic_load_n (&worker->caller, __ATOMIC_RELAXED));
  if (dying || __atomic_load_n (&worker->remote, __ATOMIC_RELAXED))
    signal_locked (worker, interrupted->unique);
  if (!dying || (age < GRACE_MS && !is_dead_locked (workers, worker)))
    return true;
  answer_locked (workers, worker, interrupted->unique, -EINTR);
  return false;
}

/* False: he asks nobody else. */
static bool
tend_remote_locked (PfsWorkers *workers, PfsWorker *worker)
{
  guint64 unique = __atomic_load_n (&worker->unique, __ATOMIC_SEQ_CST);

  if (unique == 0 || !__atomic_load_n (&worker->remote, __ATOMIC_RELAXED)
      || !__atomic_load_n (&worker->locks, __ATOMIC_RELAXED) || worker->answered)
    return false;
  if (pfs_worker_now () - __atomic_load_n (&worker->since, __ATOMIC_RELAXED) < LOCKED_MS
      || __atomic_load_n (&worker->unique, __ATOMIC_SEQ_CST) != unique)
    return true;
  answer_locked (workers, worker, unique, -ETIMEDOUT);
  return false;
}

int
pfs_stall_tend (PfsWorkers *workers)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&workers->lock);
  bool any = false;

  pfs_eventfd_clear (workers->wake);
  /* Whoever begins from here on says so by `wake`. */
  __atomic_store_n (&workers->tending, 0, __ATOMIC_SEQ_CST);
  for (guint i = workers->interrupted->len; i > 0; i--)
    if (!tend_interrupted_locked (workers, &g_array_index (workers->interrupted, PfsInterrupted, i - 1)))
      g_array_remove_index_fast (workers->interrupted, i - 1);
  for (guint i = 0; i < workers->all->len; i++)
    any = tend_remote_locked (workers, workers->all->pdata[i]) || any;
  if (!any && workers->interrupted->len == 0)
    return -1;
  __atomic_store_n (&workers->tending, 1, __ATOMIC_SEQ_CST);
  return TEND_MS;
}
