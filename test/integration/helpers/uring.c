/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* uring PATH...: lets io_uring(7) open a file while it is root, becomes user 101, and lets it open each PATH: '+' or
 * '-'. The threads that open were made for root. */
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
  int fd;
  struct io_uring_params params;
  char *rings; /* both: IORING_FEAT_SINGLE_MMAP */
  struct io_uring_sqe *entries;
} Ring;

static void
ring_open (Ring *ring)
{
  ring->fd = (int) syscall (SYS_io_uring_setup, 1, &ring->params);
  if (ring->fd < 0)
    err (2, "io_uring_setup");
  const struct io_uring_params *p = &ring->params;
  size_t size = p->cq_off.cqes + p->cq_entries * sizeof (struct io_uring_cqe);
  ring->rings = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
  ring->entries = mmap (NULL, sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
  if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED)
    err (2, "mmap");
}

static uint32_t *
field (const Ring *ring, uint32_t offset)
{
  return (uint32_t *) (void *) (ring->rings + offset);
}

/* A descriptor, or -errno. */
static int
ring_openat (Ring *ring, const char *path)
{
  const struct io_uring_params *p = &ring->params;
  const struct io_uring_cqe *done = (const struct io_uring_cqe *) (const void *) field (ring, p->cq_off.cqes);
  uint32_t head = *field (ring, p->cq_off.head);

  ring->entries[0] = (struct io_uring_sqe) {
    .opcode = IORING_OP_OPENAT,
    .flags = IOSQE_ASYNC,
    .fd = AT_FDCWD,
    .addr = (uintptr_t) path,
    .open_flags = O_RDONLY | O_CLOEXEC,
  };
  field (ring, p->sq_off.array)[0] = 0;
  __atomic_add_fetch (field (ring, p->sq_off.tail), 1, __ATOMIC_RELEASE);
  if (syscall (SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
    err (2, "io_uring_enter");
  int result = done[head & *field (ring, p->cq_off.ring_mask)].res;
  __atomic_store_n (field (ring, p->cq_off.head), head + 1, __ATOMIC_RELEASE);
  return result;
}

int
main (int argc, char **argv)
{
  Ring ring = { 0 };

  ring_open (&ring);
  if (ring_openat (&ring, "/dev/null") < 0)
    errx (2, "io_uring opens nothing");
  if (setgroups (0, NULL) < 0 || setresgid (101, 101, 101) < 0 || setresuid (101, 101, 101) < 0)
    err (2, "user 101");
  for (int i = 1; i < argc; i++)
    printf ("%s%s", i > 1 ? " " : "", ring_openat (&ring, argv[i]) < 0 ? "-" : "+");
  putchar ('\n');
  return 0;
}
