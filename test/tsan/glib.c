/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ThreadSanitizer and GLib. The distribution's GLib is built without it: a GMutex orders nothing in its eyes, and what
 * GLib does to a container it does not see. The builds for it link this file, by which each call that peerfs itself
 * makes to one of these functions tells what the function does (ld --wrap; CMakeLists.txt takes the names from the
 * lines that begin with WRAP). g_atomic_int_* are the compiler's own atomics already, g_thread_* end in pthread_*,
 * which ThreadSanitizer knows. Nothing here is code of peerfs that could hide a race of its own: what is not named is
 * reported too often, not too seldom. */
/* clang-format off: CMake reads the lines that begin with WRAP. */
#include <glib.h>
#include <sanitizer/tsan_interface.h>

#include "wrap.h"

/* An access to the byte, as the compiler would have reported it. */
void __tsan_read1 (void *address);
void __tsan_write1 (void *address);

/* --- locks: order, and the search for deadlocks */

WRAP (void, g_mutex_lock, GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  __real_g_mutex_lock (mutex);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

WRAP (gboolean, g_mutex_trylock, GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, __tsan_mutex_try_lock);
  gboolean locked = __real_g_mutex_trylock (mutex);
  __tsan_mutex_post_lock (mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

WRAP (void, g_rec_mutex_lock, GRecMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  __real_g_rec_mutex_lock (mutex);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

WRAP (void, g_rec_mutex_unlock, GRecMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  __real_g_rec_mutex_unlock (mutex);
  __tsan_mutex_post_unlock (mutex, 0);
}

WRAP (void, g_mutex_unlock, GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  __real_g_mutex_unlock (mutex);
  __tsan_mutex_post_unlock (mutex, 0);
}

WRAP (void, g_mutex_clear, GMutex *mutex)
{
  __tsan_mutex_destroy (mutex, 0);
  __real_g_mutex_clear (mutex);
}

static void
wait_begins (GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  __tsan_mutex_post_unlock (mutex, 0);
}

static void
wait_ends (GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

WRAP (void, g_cond_wait, GCond *cond, GMutex *mutex)
{
  wait_begins (mutex);
  __real_g_cond_wait (cond, mutex);
  wait_ends (mutex);
}

WRAP (gboolean, g_cond_wait_until, GCond *cond, GMutex *mutex, gint64 end)
{
  wait_begins (mutex);
  gboolean woken = __real_g_cond_wait_until (cond, mutex, end);
  wait_ends (mutex);
  return woken;
}

/* --- the last reference frees: all that was done under the others came before */

#define UNREF(name) \
  { \
    __tsan_release (object); \
    __tsan_acquire (object); \
    __real_##name (object); \
  }

WRAP (void, g_bytes_unref, GBytes *object) UNREF (g_bytes_unref)
WRAP (void, g_array_unref, GArray *object) UNREF (g_array_unref)
WRAP (void, g_ptr_array_unref, GPtrArray *object) UNREF (g_ptr_array_unref)
WRAP (void, g_hash_table_unref, GHashTable *object) UNREF (g_hash_table_unref)
WRAP (void, g_atomic_rc_box_release_full, gpointer object, GDestroyNotify clear)
{
  __tsan_release (object);
  __tsan_acquire (object);
  __real_g_atomic_rc_box_release_full (object, clear);
}

/* --- containers: a change is a write, a look is a read */

#define READ(call) { __tsan_read1 (object); return call; }
#define WRITE(call) { __tsan_write1 (object); return call; }

WRAP (gpointer, g_hash_table_lookup, GHashTable *object, gconstpointer key)
  READ (__real_g_hash_table_lookup (object, key))
WRAP (gboolean, g_hash_table_lookup_extended, GHashTable *object, gconstpointer key, gpointer *k, gpointer *v)
  READ (__real_g_hash_table_lookup_extended (object, key, k, v))
WRAP (gboolean, g_hash_table_contains, GHashTable *object, gconstpointer key)
  READ (__real_g_hash_table_contains (object, key))
WRAP (guint, g_hash_table_size, GHashTable *object)
  READ (__real_g_hash_table_size (object))
WRAP (void, g_hash_table_iter_init, GHashTableIter *iter, GHashTable *object)
  { __tsan_read1 (object); __real_g_hash_table_iter_init (iter, object); }
WRAP (gboolean, g_hash_table_add, GHashTable *object, gpointer key)
  WRITE (__real_g_hash_table_add (object, key))
WRAP (gboolean, g_hash_table_insert, GHashTable *object, gpointer key, gpointer value)
  WRITE (__real_g_hash_table_insert (object, key, value))
WRAP (gboolean, g_hash_table_replace, GHashTable *object, gpointer key, gpointer value)
  WRITE (__real_g_hash_table_replace (object, key, value))
WRAP (gboolean, g_hash_table_remove, GHashTable *object, gconstpointer key)
  WRITE (__real_g_hash_table_remove (object, key))
WRAP (gboolean, g_hash_table_steal, GHashTable *object, gconstpointer key)
  WRITE (__real_g_hash_table_steal (object, key))
WRAP (void, g_hash_table_remove_all, GHashTable *object)
  { __tsan_write1 (object); __real_g_hash_table_remove_all (object); }
WRAP (void, g_ptr_array_add, GPtrArray *object, gpointer data)
  { __tsan_write1 (object); __real_g_ptr_array_add (object, data); }
WRAP (gpointer, g_ptr_array_remove_index, GPtrArray *object, guint index)
  WRITE (__real_g_ptr_array_remove_index (object, index))
WRAP (gpointer, g_ptr_array_remove_index_fast, GPtrArray *object, guint index)
  WRITE (__real_g_ptr_array_remove_index_fast (object, index))
WRAP (GArray *, g_array_append_vals, GArray *object, gconstpointer data, guint n)
  WRITE (__real_g_array_append_vals (object, data, n))
WRAP (gboolean, g_ptr_array_remove_fast, GPtrArray *object, gpointer data)
  WRITE (__real_g_ptr_array_remove_fast (object, data))
WRAP (void, g_queue_push_head, GQueue *object, gpointer data)
  { __tsan_write1 (object); __real_g_queue_push_head (object, data); }
WRAP (void, g_queue_push_head_link, GQueue *object, GList *link)
  { __tsan_write1 (object); __real_g_queue_push_head_link (object, link); }
WRAP (void, g_queue_push_tail_link, GQueue *object, GList *link)
  { __tsan_write1 (object); __real_g_queue_push_tail_link (object, link); }
WRAP (void, g_queue_unlink, GQueue *object, GList *link)
  { __tsan_write1 (object); __real_g_queue_unlink (object, link); }
WRAP (void, g_queue_delete_link, GQueue *object, GList *link)
  { __tsan_write1 (object); __real_g_queue_delete_link (object, link); }
WRAP (gboolean, g_queue_remove, GQueue *object, gconstpointer data)
  WRITE (__real_g_queue_remove (object, data))
WRAP (gpointer, g_queue_pop_head, GQueue *object)
  WRITE (__real_g_queue_pop_head (object))
WRAP (gpointer, g_queue_pop_tail, GQueue *object)
  WRITE (__real_g_queue_pop_tail (object))
