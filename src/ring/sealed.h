/* SPDX-License-Identifier: MIT */
/*
 * sealed.h - a segment in memory without a name, which nobody can make shorter or longer, and which nobody but its maker
 * can write: memfd_create(2) with F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE and F_SEAL_SEAL.
 *
 * Named files refuse seals, so whoever maps one can be killed (SIGBUS) by any other who may write it.  Of a sealed one
 * both sides know, before they map it, that every byte will be there for ever.
 */
#ifndef RING_SEALED_H
#define RING_SEALED_H

#include "base/layout.h"

/* Makes a segment, open for writing and not sealed yet: what its maker maps to write has to be mapped before.  With the
 * memory of what is touched, and of the first `lanes` lanes.  -ENOMEM, -ENOSPC. */
int ring_sealed_make(const char *object, uint32_t kind, const struct layout_shape *shape, unsigned lanes);

/* Seals it and opens it once more, for reading only: that descriptor can be given away. */
int ring_sealed_seal(const char *object, int fd);

/* Checks what was handed over, before it is mapped: -EPROTO in words, or its shape. */
int ring_sealed_check(const char *object, int fd, uint32_t kind, struct layout_shape *ret);

/* A description of one's own, with flags that nobody else can change, of what `fd` is open on. */
int ring_sealed_open_again(int fd, int flags);

#endif
