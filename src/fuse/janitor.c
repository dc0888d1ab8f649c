/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One thread that waits for peers to end, for descriptors to become idle and for SIGUSR1. Else it sleeps. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "requests.h"

/* How often to look if peers without a pidfd have ended (a /proc of another PID namespace). */
#define SOON_MS 50

struct PfsJanitor {
  PfsSession *session;
  GThread *thread;
  int wake;        /* eventfd */
  guint64 n_ended; /* containers whose names the kernel has been asked to forget */
  gint stopping;
};

static void
wake (gpointer data)
{
  pfs_eventfd_raise (((const PfsJanitor *) data)->wake);
}

/* The kernel may still show the name of a container that has ended. */
static void
container_ended (PfsContainer *container, gpointer data)
{
  PfsSession *session = data;
  g_autofree char *name = pfs_container_name (container);

  fuse_log (FUSE_LOG_INFO, "event=ended name=%s id=%.12s\n", name, container->cgroup.id);
  fuse_lowlevel_notify_inval_entry (session->fuse, FUSE_ROOT_ID, name, strlen (name));
  pfs_trim_ended (session);
}

/* --- what SIGUSR1 asks for: the state of the daemon, for support --- */

int
pfs_state_fd_new (void)
{
  sigset_t signals;

  sigemptyset (&signals);
  sigaddset (&signals, SIGUSR1);
  pthread_sigmask (SIG_BLOCK, &signals, NULL);
  return signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
log_containers (PfsTable *table)
{
  g_autoptr (GPtrArray) containers = NULL;
  guint processes = 0;

  int r = pfs_table_list (table, &containers);
  for (guint i = 0; r == 0 && i < containers->len; i++) {
    g_autoptr (GArray) pids = pfs_container_pids (containers->pdata[i]);

    processes += pids->len;
  }
  if (r < 0)
    fuse_log (FUSE_LOG_INFO, "event=state of=containers error=\"%s\"\n", g_strerror (-r));
  else
    fuse_log (FUSE_LOG_INFO, "event=state of=containers count=%u\nevent=state of=processes count=%u\n", containers->len,
              processes);
}

/* Logs the state if the signal has come. */
static void
log_state (PfsSession *session)
{
  struct signalfd_siginfo info;
  PfsJobs *jobs = session->jobs;

  if (read (session->state_fd, &info, sizeof info) != sizeof info)
    return;
  log_containers (session->table);
  g_mutex_lock (&session->lock);
  guint open = g_hash_table_size (session->files), descriptors = session->n_open_files;
  g_mutex_unlock (&session->lock);
  fuse_log (FUSE_LOG_INFO, "event=state of=files count=%u counted=%u max=%u\n", open, descriptors,
            session->open_files_max);
  g_mutex_lock (&jobs->lock);
  guint requests = jobs->requests.length, running = jobs->all.n[PFS_RUNNING], threads = jobs->threads;
  g_mutex_unlock (&jobs->lock);
  fuse_log (FUSE_LOG_INFO, "event=state of=jobs count=%u requests=%u threads=%u\n", running, requests, threads);
  fuse_log (FUSE_LOG_INFO, "event=state of=nodes count=%zu\n", pfs_tree_size (session->tree));
}

/* --- the thread --- */

/* How long to sleep when nothing happens. -1: for ever. */
static int
wait_ms (gint64 deadline, bool look_soon)
{
  gint64 now = g_get_monotonic_time (), when = MIN (deadline, look_soon ? now + SOON_MS * 1000 : G_MAXINT64);

  return when == G_MAXINT64 ? -1 : (int) MAX (0, (when - now) / 1000 + 1);
}

static void
wait_for_something (PfsJanitor *janitor)
{
  gint64 deadline;
  g_autoptr (GPtrArray) pins = pfs_tree_held (janitor->session->tree, &deadline);
  g_autofree struct pollfd *polled = g_new0 (struct pollfd, pins->len + 2);
  bool look_soon = false;
  nfds_t n = 0;

  polled[n++] = (struct pollfd) { .fd = janitor->wake, .events = POLLIN };
  polled[n++] = (struct pollfd) { .fd = janitor->session->state_fd, .events = POLLIN };
  for (guint i = 0; i < pins->len; i++) {
    int pidfd = ((const PfsProcess *) pins->pdata[i])->pidfd;

    look_soon = look_soon || pidfd < 0;
    if (pidfd >= 0)
      polled[n++] = (struct pollfd) { .fd = pidfd, .events = POLLIN };
  }
  if (poll (polled, n, wait_ms (deadline, look_soon)) < 0 && errno != EINTR)
    g_usleep (SOON_MS * 1000);
  pfs_eventfd_clear (janitor->wake);
}

static gpointer
janitor_main (gpointer data)
{
  PfsJanitor *janitor = data;

  for (;;) {
    wait_for_something (janitor);
    if (g_atomic_int_get (&janitor->stopping))
      return NULL;
    log_state (janitor->session);
    pfs_tree_sweep (janitor->session->tree, container_ended, janitor->session);
    guint64 n_ended = pfs_table_n_ended (janitor->session->table);
    if (n_ended != janitor->n_ended)
      pfs_trim_ended (janitor->session);
    janitor->n_ended = n_ended;
  }
}

PfsJanitor *
pfs_janitor_start (PfsSession *session)
{
  PfsJanitor *janitor = g_new0 (PfsJanitor, 1);

  janitor->session = session;
  janitor->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  pfs_tree_set_held_func (session->tree, wake, janitor);
  janitor->thread = g_thread_try_new ("janitor", janitor_main, janitor, NULL);
  if (!janitor->thread)
    g_clear_pointer (&janitor, pfs_janitor_stop);
  return janitor;
}

void
pfs_janitor_stop (PfsJanitor *janitor)
{
  if (janitor->thread) {
    g_atomic_int_set (&janitor->stopping, 1);
    wake (janitor);
    g_thread_join (janitor->thread);
  }
  pfs_tree_set_held_func (janitor->session->tree, NULL, NULL);
  close (janitor->wake);
  g_free (janitor);
}
