/* SPDX-License-Identifier: MIT */
/*
 * ask.h - bpf(2), without what stands in its way for a moment: a signal that interrupts the verifier, and before Linux 5.11
 * the limit of locked memory, which maps and programs count as there.
 */
#ifndef BPF_ASK_H
#define BPF_ASK_H

#include <stdbool.h>

union bpf_attr;

/* A descriptor, or 0.  -EPERM: not allowed, which does not pass; -ENOBUFS: that limit, which cannot be lifted. */
int ask_kernel(int command, union bpf_attr *attributes);

/* Whether this process has the capabilities. */
bool ask_is_allowed(void);

/* A fork waits while the limit is lifted.  Who loads under a lock that forks wait for calls this before it watches them. */
void ask_watch_forks(void);

#endif
