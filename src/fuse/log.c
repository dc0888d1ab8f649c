/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log.h"

#include <stdio.h>
#include <syslog.h>

#include "private.h"

static void
log_all (enum fuse_log_level level, const char *format, va_list args)
{
  (void) level;
  vfprintf (stderr, format, args);
}

static void
log_warnings (enum fuse_log_level level, const char *format, va_list args)
{
  if (level <= FUSE_LOG_WARNING)
    vfprintf (stderr, format, args);
}

static void
log_errors (enum fuse_log_level level, const char *format, va_list args)
{
  if (level <= FUSE_LOG_ERR)
    vfprintf (stderr, format, args);
}

static void
log_nothing (enum fuse_log_level level, const char *format, va_list args)
{
  (void) level, (void) format, (void) args;
}

/* libfuse's levels are those of syslog(3), which leaves out by itself what is below the mask. */
static void
log_system (enum fuse_log_level level, const char *format, va_list args)
{
  vsyslog ((int) level, format, args);
}

void
pfs_log_to_stderr (const PfsMountOptions *options)
{
  if (options->debug || options->log_level == PFS_LOG_INFO)
    fuse_set_log_func (log_all);
  else
    fuse_set_log_func (options->log_level == PFS_LOG_WARNING ? log_warnings : log_errors);
}

void
pfs_log_to_syslog (const PfsMountOptions *options)
{
  static const int least[] = {
    [PFS_LOG_INFO] = LOG_INFO,
    [PFS_LOG_WARNING] = LOG_WARNING,
    [PFS_LOG_ERROR] = LOG_ERR,
  };

  openlog ("peerfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
  setlogmask (LOG_UPTO (least[options->log_level]));
  fuse_set_log_func (log_system);
}

void
pfs_log_nowhere (void)
{
  fuse_set_log_func (log_nothing);
}
