/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fdcache.h"

#include <unistd.h>

#include "peerfs/tree/kinds.h"
#include "rootfs_private.h"

#define FD_CACHE_MAX 48

struct PfsFdCache {
  GMutex lock;
  GHashTable *slots; /* PfsNode -> Slot */
  GQueue used;       /* of Slot, the most recently used first */
};

typedef struct {
  PfsNode *node;    /* a reference */
  PfsDirFd *dir;    /* a reference */
  gint64 last_used; /* g_get_monotonic_time() */
  GList link;
} Slot;

PfsDirFd *
pfs_dir_fd_new (int fd, PfsMount *mount)
{
  PfsDirFd *dir = g_new (PfsDirFd, 1);

  *dir = (PfsDirFd) { .refs = 1, .fd = fd, .mount = pfs_mount_ref (mount) };
  return dir;
}

PfsDirFd *
pfs_dir_fd_ref (PfsDirFd *dir)
{
  g_atomic_int_inc (&dir->refs);
  return dir;
}

void
pfs_dir_fd_unref (PfsDirFd *dir)
{
  if (!g_atomic_int_dec_and_test (&dir->refs))
    return;
  close (dir->fd);
  pfs_mount_unref (dir->mount);
  g_free (dir);
}

static void
slot_free (gpointer data)
{
  Slot *slot = data;

  pfs_dir_fd_unref (slot->dir);
  pfs_node_unref (slot->node);
  g_free (slot);
}

PfsFdCache *
pfs_fd_cache_new (void)
{
  PfsFdCache *cache = g_new0 (PfsFdCache, 1);

  g_mutex_init (&cache->lock);
  cache->slots = g_hash_table_new (NULL, NULL);
  g_queue_init (&cache->used);
  return cache;
}

void
pfs_fd_cache_free (PfsFdCache *cache)
{
  pfs_fd_cache_drop_container (cache, NULL);
  g_hash_table_unref (cache->slots);
  g_mutex_clear (&cache->lock);
  g_free (cache);
}

/* Slots are freed without the lock: dropping a node may reach far. */
static Slot *
take_locked (PfsFdCache *cache, Slot *slot)
{
  g_queue_unlink (&cache->used, &slot->link);
  g_hash_table_remove (cache->slots, slot->node);
  return slot;
}

PfsDirFd *
pfs_fd_cache_get (PfsFdCache *cache, PfsNode *dir)
{
  PfsDirFd *found = NULL;

  g_mutex_lock (&cache->lock);
  Slot *slot = g_hash_table_lookup (cache->slots, dir);
  if (slot) {
    slot->last_used = g_get_monotonic_time ();
    g_queue_unlink (&cache->used, &slot->link);
    g_queue_push_head_link (&cache->used, &slot->link);
    found = pfs_dir_fd_ref (slot->dir);
  }
  g_mutex_unlock (&cache->lock);
  return found;
}

bool
pfs_fd_cache_put (PfsFdCache *cache, PfsNode *dir, PfsDirFd *fd)
{
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (slot_free);
  Slot *fresh = g_new0 (Slot, 1);

  fresh->node = pfs_node_ref (dir);
  fresh->dir = pfs_dir_fd_ref (fd);
  fresh->last_used = g_get_monotonic_time ();
  fresh->link.data = fresh;

  g_mutex_lock (&cache->lock);
  bool was_empty = cache->used.length == 0;
  Slot *old = g_hash_table_lookup (cache->slots, dir);
  if (old)
    g_ptr_array_add (gone, take_locked (cache, old));
  if (cache->used.length >= FD_CACHE_MAX)
    g_ptr_array_add (gone, take_locked (cache, g_queue_peek_tail (&cache->used)));
  g_hash_table_insert (cache->slots, dir, fresh);
  g_queue_push_head_link (&cache->used, &fresh->link);
  g_mutex_unlock (&cache->lock);
  return was_empty;
}

bool
pfs_fd_cache_has (PfsFdCache *cache, PfsContainer *container)
{
  bool found = false;

  g_mutex_lock (&cache->lock);
  for (GList *link = cache->used.head; link && !found; link = link->next)
    found = ((Slot *) link->data)->dir->mount->rootfs->container == container;
  g_mutex_unlock (&cache->lock);
  return found;
}

gint64
pfs_fd_cache_drop_idle (PfsFdCache *cache, gint64 before)
{
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (slot_free);
  gint64 oldest = G_MAXINT64;
  Slot *slot;

  g_mutex_lock (&cache->lock);
  while ((slot = g_queue_peek_tail (&cache->used))) {
    if (slot->last_used > before) {
      oldest = slot->last_used;
      break;
    }
    g_ptr_array_add (gone, take_locked (cache, slot));
  }
  g_mutex_unlock (&cache->lock);
  return oldest;
}

void
pfs_fd_cache_drop_container (PfsFdCache *cache, PfsContainer *container)
{
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (slot_free);

  g_mutex_lock (&cache->lock);
  for (GList *link = cache->used.head, *next; link; link = next) {
    Slot *slot = link->data;

    next = link->next;
    if (!container || slot->dir->mount->rootfs->container == container)
      g_ptr_array_add (gone, take_locked (cache, slot));
  }
  g_mutex_unlock (&cache->lock);
}
