/* SPDX-License-Identifier: MIT */
/*
 * programs.h - programs of ours in the kernel (bpf(2)): loaded from an image in this library, attached, and gone with the
 * structure that is returned, also if the process dies.
 *
 * Needs libbpf 1.x, a kernel that describes itself (/sys/kernel/btf/vmlinux, Linux 5.8) and CAP_BPF with CAP_PERFMON.
 * Images are made from src/bpf/kernel by scripts/bpf.py and kept in the tree, so that building needs no compiler for them.
 */
#ifndef BPF_PROGRAMS_H
#define BPF_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

struct bpf_image {
    const char *name;
    const unsigned char *data;
    size_t size;
};

struct programs;

/*
 * Loads those programs of an image that are in `wanted` (names, NULL at the end), or all (NULL).
 * -ENOPKG: no libbpf; -EPERM: not allowed; -EOPNOTSUPP: the kernel cannot; -ENOMEM; each with words in tong_detail().
 */
int programs_load(const struct bpf_image *image, const char *const *wanted, struct programs **ret);
void programs_unload(struct programs *programs); /* NULL is allowed; detaches all */

/* From now on it runs whenever what it is made for happens.  -EOPNOTSUPP. */
int programs_attach(struct programs *programs, const char *program);

/* A descriptor from which one run of an iterator can be read; the caller closes it. */
int programs_iterate(struct programs *programs, const char *program);

/* The descriptor of a map, which belongs to `programs`. */
int programs_map(struct programs *programs, const char *map);

#endif
