/* SPDX-License-Identifier: MIT */
/*
 * types.h - the types of the running kernel, as it describes them itself (BTF): where a member lies, whether there is one.
 *
 * What is sought is named beforehand, so that one pass finds all of it: the kernel has more than a hundred thousand types.
 * Source: Documentation/bpf/btf.rst.
 */
#ifndef BPF_TYPES_H
#define BPF_TYPES_H

#include <stdbool.h>

#include "bpf/image.h"

struct types;

/* A place that was found. */
struct types_place {
    uint64_t offset; /* bytes */
    uint64_t size;
    bool is_signed;  /* a number that may be less than 0 */
};

/* Reads a file of BTF for `sought`, which has to stay.  -ENOENT, ... as open(2) and read(2); -EBADMSG: it is none; -EOPNOTSUPP:
 * it has sorts of types that are newer than this. */
int types_open(const char *path, const struct image_type *sought, size_t count, struct types **ret);
void types_close(struct types *types); /* NULL is allowed */

/* The kernel's number of the one that was sought as number `type`; 0: there is none. */
uint32_t types_number(const struct types *types, uint32_t type);

/* False: there is no such place, or it is another one in each of several types of that name. */
bool types_find(const struct types *types, const struct image_place *place, struct types_place *ret);

#endif
