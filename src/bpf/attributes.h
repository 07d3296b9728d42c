/* SPDX-License-Identifier: MIT */
/* attributes.h - what bpf(2) is asked with. */
#ifndef BPF_ATTRIBUTES_H
#define BPF_ATTRIBUTES_H

#include <linux/bpf.h>
#include <string.h>

/* All zeros: the kernel refuses what stands behind a command's own, which an initializer of the union may not set. */
static inline union bpf_attr no_attributes(void)
{
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    return attributes;
}

#endif
