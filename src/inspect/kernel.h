/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - the tier of a look for who may use BPF: programs of ours in the kernel tell in one pass what /proc tells in
 * many calls, and what it does not tell at all.  What they do not know, /proc is asked.
 */
#ifndef INSPECT_KERNEL_H
#define INSPECT_KERNEL_H

#include "bpf/look.h"
#include "inspect/probe.h"

/* For tests: so many of the newest kernels' ways are left out; and why no more is tried to load any, in words or empty. */
extern unsigned kernel_skipped;
extern char kernel_never[];

/* The records of one program, in the order of processes. */
struct kernel_list {
    void *item;
    size_t count;
};

/* Finds out whether this look may use them; if not, scan->kernel stays NULL and scan->kernel_refusal says why. */
int kernel_open(struct scan *scan);
/* What a snapshot holds of them; the last that lets go unloads them.  NULL is allowed. */
void kernel_release(struct kernel *kernel);

/* Runs a program, whose records have that size.  The caller frees ret->item.  -EOPNOTSUPP: /proc has to be asked. */
int kernel_run(const struct kernel *kernel, const char *program, size_t size, struct kernel_list *ret);

/* The process that a record is of; TONG_NOBODY: it began after processes were listed, or another thread speaks for it, because
 * its first has ended. */
uint32_t kernel_process(const struct scan *scan, const struct who_seen *who);
/* The same, also of threads that do not speak for it. */
uint32_t kernel_process_of_thread(const struct scan *scan, const struct who_seen *who);

/* A device as stat(2) tells it. */
uint64_t kernel_device(unsigned device);

/* In place of the probes of these names; the first lists whom kernel_process() knows. */
int kernel_processes(struct scan *scan);
int kernel_descriptors(struct scan *scan);
int kernel_mappings(struct scan *scan);
int kernel_waits(struct scan *scan);

/* What threads are in before their descriptors are looked at: kernel_waits() compares. */
int kernel_calls(struct scan *scan);

/* What the kernel would undo when processes end.  ret: struct undo_seen; nothing, where it cannot be told. */
int kernel_undos(struct scan *scan);

#endif
