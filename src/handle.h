/* SPDX-License-Identifier: MIT */
/* handle.h - what the facade knows about a channel beside its conduit. */
#ifndef HANDLE_H
#define HANDLE_H

#include "core/mechanism.h"

/* One handle on a conduit; clones share the conduit. */
struct tong_channel {
    struct conduit *conduit;
    unsigned generation; /* of the process that opened it, or took it over after fork */
};

struct tong_listener {
    struct listener *listener;
};

/*
 * Whether a lock is held through a handle.  The word is 0, or 1 more than the generation of the process that holds, or
 * is just taking or giving back: a forked child reads its parent's as free.  Written by whoever takes (compare and swap)
 * and then by that holder alone.
 */
struct holding {
    atomic_uint word;
};

/* -EDEADLK this process holds it by this handle. */
int holding_begin(struct holding *holding, const char *object);
/* Whether it does. */
bool holding_is(const struct holding *holding);
/* -EPERM it does not. */
int holding_check(const struct holding *holding, const char *object);
void holding_end(struct holding *holding);

/* Wraps a conduit.  Closes it when there is no memory. */
int handle_new(struct conduit *conduit, tong_channel **ret);

const struct mechanism *mechanism_find(const char *scheme);

/* The options that addresses of the noun (TONG_HAS_CHANNEL, _REGION, _SEMAPHORE, _LOCK) take; NULL: no such noun. */
const struct option_use *noun_options(const struct mechanism *mechanism, uint32_t noun);

/* Parses and settles `text` for the noun and finds its mechanism; address_free() afterwards.  -EOPNOTSUPP where the
 * mechanism lacks the noun.  On failure nothing is left. */
int resolve(const char *text, uint32_t noun, struct address *ret_address, const struct mechanism **ret_mechanism);

#endif
