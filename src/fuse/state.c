/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "requests.h"

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

static void
log_files (PfsSession *session)
{
  g_mutex_lock (&session->lock);
  guint open = g_hash_table_size (session->files), descriptors = session->n_open_files;
  g_mutex_unlock (&session->lock);
  fuse_log (FUSE_LOG_INFO, "event=state of=files count=%u counted=%u max=%u\n", open, descriptors,
            session->open_files_max);
}

static void
log_jobs (PfsJobs *jobs)
{
  g_mutex_lock (&jobs->lock);
  guint requests = jobs->requests.length, running = jobs->running, threads = jobs->threads;
  g_mutex_unlock (&jobs->lock);
  fuse_log (FUSE_LOG_INFO, "event=state of=jobs count=%u requests=%u threads=%u\n", running, requests, threads);
}

void
pfs_state_answer (PfsSession *session)
{
  struct signalfd_siginfo info;

  if (read (session->state_fd, &info, sizeof info) != sizeof info)
    return;
  log_containers (session->table);
  log_files (session);
  log_jobs (session->jobs);
  fuse_log (FUSE_LOG_INFO, "event=state of=nodes count=%zu\n", pfs_tree_size (session->tree));
}
