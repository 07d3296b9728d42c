/* SPDX-License-Identifier: MIT */
/* tong/wait.h - waiting on many channels and listeners at once. */
#ifndef TONG_WAIT_H
#define TONG_WAIT_H

#include <tong/channel.h>
#include <tong/listener.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* One thing to wait for: a channel in one or both directions, or a listener. */
typedef struct tong_wait_item {
    uint32_t size;            /* sizeof(tong_wait_item), the same in every element of the array */
    uint32_t direction;       /* TONG_RECEIVE, TONG_SEND or TONG_BOTH; a listener is ready to TONG_RECEIVE */
    tong_channel *channel;    /* or NULL */
    tong_listener *listener;  /* or NULL; an item with neither is passed over */
    uint32_t ready;           /* result: directions that are ready */
    uint32_t reserved;
} tong_wait_item;

/*
 * Waits until at least one item is ready and returns how many are; `ready` is set in every item.  Ready
 * may be spurious, as for tong_channel_pollfd().  At most 1024 items (-EINVAL).  Errors: -EAGAIN, -ETIMEDOUT,
 * -EINTR, -EOPNOTSUPP an item has no readiness (msgq: without ?poll=).
 */
int tong_wait(tong_wait_item *items, size_t count, int64_t timeout);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
