/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces of text that are not NUL-terminated, for all parsers. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  const char *p;
  size_t len;
} Bytes;

static inline Bytes
bytes_of (const char *p, size_t len)
{
  return (Bytes) { p, len };
}

static inline Bytes
bytes_of_content (GBytes *content)
{
  gsize len;
  const char *start = g_bytes_get_data (content, &len);

  return bytes_of (start, len);
}

static inline bool
bytes_equal (Bytes b, const char *s)
{
  return b.len == strlen (s) && memcmp (b.p, s, b.len) == 0;
}

static inline bool
bytes_has_prefix (Bytes b, const char *s)
{
  size_t n = strlen (s);

  return b.len >= n && memcmp (b.p, s, n) == 0;
}

static inline bool
bytes_has_suffix (Bytes b, const char *s)
{
  size_t n = strlen (s);

  return b.len >= n && memcmp (b.p + b.len - n, s, n) == 0;
}

static inline Bytes
bytes_skip (Bytes b, size_t n)
{
  return (Bytes) { b.p + n, b.len - n };
}

/* memmem(3) is undefined for a NULL pointer, which an empty piece may have. */
static inline bool
bytes_contain (Bytes b, const char *s)
{
  return b.len > 0 && memmem (b.p, b.len, s, strlen (s)) != NULL;
}

/* Takes the piece before the next sep (or the whole rest) out of *rest, and the sep. Returns false once *rest is empty:
 * text that ends in sep has no empty piece after it. */
static inline bool
bytes_split (Bytes *rest, char sep, Bytes *ret)
{
  const char *end;

  if (rest->len == 0)
    return false;
  end = memchr (rest->p, sep, rest->len);
  if (end) {
    *ret = bytes_of (rest->p, (size_t) (end - rest->p));
    *rest = bytes_skip (*rest, ret->len + 1);
  } else {
    *ret = *rest;
    *rest = bytes_of (rest->p + rest->len, 0);
  }
  return true;
}

/* True if the whole piece is one number in base 8, 10 or 16, without sign or prefix, no larger than max. */
static inline bool
bytes_to_number (Bytes b, unsigned int base, uint64_t max, uint64_t *ret)
{
  uint64_t value = 0;

  if (b.len == 0)
    return false;
  for (size_t i = 0; i < b.len; i++) {
    int digit = g_ascii_xdigit_value (b.p[i]);

    if (digit < 0 || digit >= (int) base || value > (max - (unsigned int) digit) / base)
      return false;
    value = value * base + (unsigned int) digit;
  }
  *ret = value;
  return true;
}

/* True for lower-case hexadecimal digits only: runtimes and the kubelet make ids of these. */
static inline bool
bytes_is_hex (Bytes b)
{
  for (size_t i = 0; i < b.len; i++)
    if (!g_ascii_isxdigit (b.p[i]) || g_ascii_isupper (b.p[i]))
      return false;
  return b.len > 0;
}

/* 8-4-4-4-12 lower-case hexadecimal digits; systemd's units write '_' for '-'. */
static inline bool
bytes_is_uuid (Bytes b, char dash)
{
  if (b.len != 36)
    return false;
  for (size_t i = 0; i < b.len; i++) {
    bool wants_dash = i == 8 || i == 13 || i == 18 || i == 23;

    if (wants_dash ? b.p[i] != dash : !bytes_is_hex (bytes_of (b.p + i, 1)))
      return false;
  }
  return true;
}

/* A pod's uid as the kubelet's folders spell it: a UUID, or 32 digits for static pods. */
static inline bool
bytes_is_pod_uid (Bytes b)
{
  return bytes_is_uuid (b, '-') || (b.len == 32 && bytes_is_hex (b));
}

/* RFC 1123: lower-case letters, digits, and '-' inside; of any length. */
static inline bool
bytes_is_label (Bytes b)
{
  for (size_t i = 0; i < b.len; i++) {
    bool inside = i > 0 && i + 1 < b.len;

    if (!g_ascii_islower (b.p[i]) && !g_ascii_isdigit (b.p[i]) && !(inside && b.p[i] == '-'))
      return false;
  }
  return b.len > 0;
}
