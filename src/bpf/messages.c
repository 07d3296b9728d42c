/* SPDX-License-Identifier: MIT */
/*
 * A page in which we say how far we are, a page in which the kernel does, and the ring, mapped twice in a row so that no
 * message is torn.  A message is a word for its size, a word that is the kernel's, its bytes, and room up to eight.
 *
 * The kernel wakes us only for a message that begins where we said that we are: so it is said after each, and only then
 * looked whether there are more.
 *
 * Source: Documentation/bpf/ringbuf.rst.
 */
#include "bpf/messages.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "sys/sys.h"

#define SIZE(word) ((word) & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT))

struct messages {
    unsigned long *taken;       /* ours, which the kernel reads */
    const unsigned long *given; /* the kernel's */
    const char *ring;
    size_t page, size;
};

static int map_pages(struct messages *messages, int map)
{
    int error = 0;
    messages->taken = sys_mmap(messages->page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0, &error);
    if (!messages->taken)
        return error;
    messages->given = sys_mmap(messages->page + 2 * messages->size, PROT_READ, MAP_SHARED, map, (off_t)messages->page,
                               &error);
    if (!messages->given)
        return error;
    messages->ring = (const char *)messages->given + messages->page;
    return 0;
}

int messages_open(int map, size_t size, struct messages **ret)
{
    struct messages *messages = calloc(1, sizeof *messages);
    if (!messages)
        return -ENOMEM;
    messages->page = (size_t)sysconf(_SC_PAGESIZE);
    messages->size = size;
    int r = map_pages(messages, map);
    if (r < 0) {
        messages_close(messages);
        return r;
    }
    *ret = messages;
    return 0;
}

void messages_close(struct messages *messages)
{
    if (!messages)
        return;
    if (messages->taken)
        sys_munmap(messages->taken, messages->page);
    if (messages->given)
        sys_munmap((void *)(uintptr_t)messages->given, messages->page + 2 * messages->size);
    free(messages);
}

int messages_take(struct messages *messages, int (*take)(void *context, const void *data, size_t size), void *context)
{
    unsigned long at = *messages->taken;
    int r = 0;
    while (r == 0 && at < __atomic_load_n(messages->given, __ATOMIC_SEQ_CST)) {
        const uint32_t *head = (const void *)(messages->ring + (at & (messages->size - 1)));
        uint32_t word = __atomic_load_n(head, __ATOMIC_ACQUIRE);
        if (word & BPF_RINGBUF_BUSY_BIT)
            return 0;
        if (!(word & BPF_RINGBUF_DISCARD_BIT))
            r = take(context, (const char *)head + BPF_RINGBUF_HDR_SZ, SIZE(word));
        at += (SIZE(word) + BPF_RINGBUF_HDR_SZ + 7) & ~7ul;
        __atomic_store_n(messages->taken, at, __ATOMIC_SEQ_CST);
    }
    return r;
}
