/* SPDX-License-Identifier: MIT */
/*
 * programs.h - programs of ours in the kernel (bpf(2)): loaded from an image in this library, attached, and gone with the
 * structure that is returned, also if the process dies.
 *
 * Needs a 64-bit little-endian kernel that describes itself (/sys/kernel/btf/vmlinux) and CAP_BPF with CAP_PERFMON, which
 * Linux 5.8 has; and what else a program uses, of which its image says since when.  Nothing else: no library.
 * Images are made from src/bpf/kernel by scripts/bpf.py and kept in the tree, so that building needs no compiler for them.
 */
#ifndef BPF_PROGRAMS_H
#define BPF_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/messages.h"

struct bpf_image;
struct programs;

/*
 * Loads those programs of an image that are in `wanted` (names, NULL at the end), or all (NULL).
 * -EPERM: not allowed, -EOPNOTSUPP: the kernel cannot, neither of which passes; -ENOMEM, -ENOBUFS (the limit of locked memory)
 * and whatever else is refused, which may pass; each with words in tong_detail().
 */
int programs_load(const struct bpf_image *image, const char *const *wanted, struct programs **ret);
void programs_unload(struct programs *programs); /* NULL is allowed; detaches all */

/* From now on it runs whenever what it is made for happens.  -EOPNOTSUPP. */
int programs_attach(struct programs *programs, const char *program);

/* A descriptor from which one run of an iterator can be read; the caller closes it. */
int programs_iterate(struct programs *programs, const char *program);

/* The descriptor of a map, which belongs to `programs`. */
int programs_map(const struct programs *programs, const char *map);

/* The reader of a map that is a ring, which the caller closes before `programs`. */
int programs_messages(const struct programs *programs, const char *map, struct messages **ret);

#endif
