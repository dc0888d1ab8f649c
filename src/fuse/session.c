/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the check of the mountpoint to the clean unmount. */
#include "peerfs/fuse/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "peerfs/base/fd.h"
#include "requests.h"
#include "locks.h"
#include "private.h"

/* --- where fuse_log() goes: libfuse's levels are those of syslog(3), whose mask stands for the least of them --- */

static void
log_to_stderr (enum fuse_log_level level, const char *format, va_list args)
{
  if (setlogmask (0) & LOG_MASK ((int) level))
    vfprintf (stderr, format, args);
}

static void
log_to_syslog (enum fuse_log_level level, const char *format, va_list args)
{
  vsyslog ((int) level, format, args);
}

static void
set_mask (const PfsMountOptions *options)
{
  static const int least[] = {
    [PFS_LOG_INFO] = LOG_INFO,
    [PFS_LOG_WARNING] = LOG_WARNING,
    [PFS_LOG_ERROR] = LOG_ERR,
  };

  setlogmask (LOG_UPTO (options->debug ? LOG_DEBUG : least[options->log_level]));
}

/* --- before the mount --- */

static char *
mount_arguments (const PfsMountOptions *options)
{
  const char *more = options->kernel_options ? options->kernel_options : "";

  return g_strdup_printf ("default_permissions,nosuid,nodev,subtype=peerfs,fsname=%s%s%s%s%s",
                          options->fsname ? options->fsname : "peerfs", options->allow_other ? ",allow_other" : "",
                          options->tree.read_only ? ",ro" : "", *more ? "," : "", more);
}

static struct fuse_session *
fuse_session_make (PfsSession *session)
{
  g_autofree char *opts = mount_arguments (session->options);
  char *argv[] = { "peerfs", "-o", opts, "-d", NULL };
  struct fuse_args args = FUSE_ARGS_INIT (session->options->debug ? 4 : 3, argv);
  struct fuse_session *fuse = fuse_session_new (&args, &pfs_ops, sizeof pfs_ops, session);

  fuse_opt_free_args (&args);
  return fuse;
}

/* As many descriptors as we may have: each file that a caller has open is one. */
static void
raise_limits (PfsSession *session)
{
  struct rlimit limit;

  session->open_files_max = G_MAXUINT;
  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < G_MAXUINT)
    session->open_files_max = (guint) limit.rlim_cur;
}

/* Comes before the end of the janitor: it ends whatever the janitor may wait for in the kernel. libfuse by itself would
 * run umount(8), which the sandbox forbids. A busy mount lives until the connection ends, with the descriptor of
 * /dev/fuse; in its place libfuse gets one that polls as /dev/fuse does after an unmount, so that it only cleans up. */
static void
unmount (PfsSession *session)
{
  int ends[2];

  if (pfs_mountpoint_clear (session)) {
    if (pipe2 (ends, O_CLOEXEC) < 0)
      return; /* libfuse would unmount whatever is there now; the end of the process does the rest */
    close (ends[0]);
    dup3 (ends[1], fuse_session_fd (session->fuse), O_CLOEXEC);
    close (ends[1]);
  }
  fuse_session_unmount (session->fuse);
}

static int
serve (PfsSession *session)
{
  bool idle = true;

  pfs_trim_init (session);
  pfs_tree_set_run_func (session->tree, pfs_jobs_run, session->jobs);
  session->janitor = pfs_janitor_start (session);
  int r = session->janitor ? pfs_loop_run (session->jobs, &idle) : -EAGAIN;
  unmount (session);
  fuse_log (FUSE_LOG_INFO, "event=unmounted mountpoint=%s\n", session->mountpoint);
  /* A thread that waits for a dead mount still uses everything: only the end of the process can clean up. */
  if (!idle)
    _exit (r < 0 ? 1 : 0);
  g_clear_pointer (&session->janitor, pfs_janitor_stop);
  pfs_tree_set_run_func (session->tree, NULL, NULL);
  return r;
}

/* By what callers are compared with us. Without a name of our user namespace no capability of theirs counts. */
static void
remember_self (PfsSession *session)
{
  session->pid = getpid ();
  session->caps = pfs_caps_permitted ();
  session->proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (pfs_user_ns (session->proc_fd, session->pid, session->user_ns) < 0)
    session->user_ns[0] = '\0';
}

static void
log_notice (const PfsNotice *notice, gpointer data)
{
  (void) data;
  if (notice->kind == PFS_NOTICE_AMBIGUOUS)
    fuse_log (FUSE_LOG_WARNING, "event=ambiguous rule=%s id=%.12s other=%.12s\n", notice->name, notice->id,
              notice->other);
  else
    fuse_log (FUSE_LOG_WARNING, "event=conflict name=%s id=%.12s other=%.12s\n", notice->name, notice->id,
              notice->other);
}

static gpointer
nothing (gpointer data)
{
  return data;
}

static bool
may_start_thread (void)
{
  GThread *thread = g_thread_try_new ("probe", nothing, NULL, NULL);

  if (thread)
    g_thread_join (thread);
  return thread != NULL;
}

static int
fail_for_threads (char **ret_error)
{
  *ret_error = g_strdup ("cannot start a thread: raise the limit of processes (pids.max of the cgroup, the kubelet's "
                         "podPidsLimit, ulimit -u)");
  return 1;
}

static int
mount_and_serve (PfsSession *session, char **ret_error)
{
  /* Some builds of libfuse want a process of their own to mount; what they say then is of no help. */
  if (!may_start_thread ())
    return fail_for_threads (ret_error);
  /* libfuse explains a failed mount on stderr by itself; the user gets one line, ours. */
  setlogmask (LOG_MASK (LOG_EMERG));
  int r = pfs_mountpoint_mount (session);
  set_mask (session->options);
  if (r != 0) {
    *ret_error = g_strdup_printf (
        "cannot mount on %s: the kernel refused; see dmesg, and give the container "
        "CAP_SYS_ADMIN and an AppArmor or seccomp profile that allows mount (privileged: true)",
        session->mountpoint);
    return 1;
  }
  bool stay = session->options->foreground || session->options->debug;
  if (fuse_daemonize (stay) == 0 && !stay) {
    /* There is no stderr any more. It connects at once: the sandbox forbids that later. */
    openlog ("peerfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    fuse_set_log_func (log_to_syslog);
  }
  umask (0);
  pfs_table_set_notice_func (session->table, log_notice, NULL);
  session->tree = pfs_tree_new (session->table, &session->options->tree,
                                &pfs_root_kind); /* has descriptors of its own process */
  pfs_mountpoint_remember (session);
  pfs_tree_set_own_device (session->tree, session->device);
  r = session->options->sandbox ? pfs_sandbox_enter () : 1;
  if (r != 0)
    fuse_log (FUSE_LOG_WARNING, "event=unsandboxed error=\"%s\"\n", r < 0 ? g_strerror (-r) : "sandbox=off");
  remember_self (session);
  r = serve (session);
  if (r == -EAGAIN)
    return fail_for_threads (ret_error);
  return r < 0 ? 1 : 0;
}

static void
session_clear (PfsSession *session)
{
  g_clear_pointer (&session->locks, pfs_locks_free);
  g_clear_pointer (&session->jobs, pfs_jobs_free);
  g_clear_pointer (&session->fuse, fuse_session_destroy);
  g_clear_pointer (&session->passthrough, pfs_passthrough_free);
  g_clear_pointer (&session->files, g_hash_table_unref);
  g_clear_pointer (&session->open_files, g_hash_table_unref);
  g_clear_pointer (&session->tree, pfs_tree_free);
  pfs_fd_cleanup (&session->proc_fd);
  pfs_fd_cleanup (&session->state_fd);
  g_mutex_clear (&session->lock);
  g_free (session->mountpoint);
  pfs_fd_cleanup (&session->mountpoint_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PfsSession, session_clear)

int
pfs_session_run (PfsTable *table, const PfsMountOptions *options, char **ret_error)
{
  g_auto (PfsSession) session = {
    .options = options,
    .table = table,
    .uid = geteuid (),
    .gid = getegid (),
    .proc_fd = -1,
    .state_fd = pfs_state_fd_new (),
    .mountpoint_fd = -1,
  };

  g_mutex_init (&session.lock);
  set_mask (options);
  fuse_set_log_func (log_to_stderr);
  if (pfs_mountpoint_prepare (&session, ret_error) < 0)
    return 1;
  raise_limits (&session);
  session.open_files = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  session.files = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) pfs_file_unref, NULL);
  session.fuse = fuse_session_make (&session);
  if (!session.fuse) {
    *ret_error = g_strdup ("libfuse does not take the mount options: see mount.fuse3(8) for those there are");
    return 1;
  }
  session.jobs = pfs_jobs_new (&session);
  if (!session.jobs || pfs_signals_set (&session) < 0) {
    *ret_error = g_strdup_printf ("cannot set signal handlers: %s", g_strerror (errno));
    return 1;
  }
  session.locks = pfs_locks_new (&session);
  int status = mount_and_serve (&session, ret_error);
  pfs_signals_remove ();
  return status;
}

char *
pfs_session_describe (void)
{
  g_autofree char *passthrough = pfs_passthrough_describe ();

  return g_strdup_printf ("libfuse %s, kernel passthrough %s", fuse_pkgversion (), passthrough);
}
