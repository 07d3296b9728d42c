/* SPDX-License-Identifier: MIT */
/*
 * messages.h - the reader of a ring through which programs tell (BPF_MAP_TYPE_RINGBUF).  The map's descriptor can be
 * polled: it is readable while there is something that was not taken.
 */
#ifndef BPF_MESSAGES_H
#define BPF_MESSAGES_H

#include <stddef.h>

struct messages;

/* `size` is the map's number of entries, `map` the caller's, open as long as this is. */
int messages_open(int map, size_t size, struct messages **ret);
void messages_close(struct messages *messages); /* NULL is allowed */

/* Hands out one after another until none is left, or `take` returns other than 0, which is returned then. */
int messages_take(struct messages *messages, int (*take)(void *context, const void *data, size_t size), void *context);

#endif
