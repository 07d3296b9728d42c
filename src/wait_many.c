/* SPDX-License-Identifier: MIT */
/* Waiting on many: one poll over the descriptors that each channel and listener gives. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/detail.h"
#include "core/wait.h"
#include "sys/sys.h"
#include "tong/wait.h"

#define ITEMS_MAX 1024

static tong_wait_item *item_at(tong_wait_item *items, size_t index)
{
    return (tong_wait_item *)((char *)items + index * items->size);
}

/* Two slots an item: receiving, then sending.  fd -1 is passed over by poll(2). */
static int collect(const tong_wait_item *item, struct pollfd slot[2])
{
    slot[0] = slot[1] = (struct pollfd){ -1, 0, 0 };
    if (item->listener)
        return tong_listener_pollfd(item->listener, &slot[0]);
    int r = 0;
    if (item->channel && item->direction & TONG_RECEIVE)
        r = tong_channel_pollfd(item->channel, TONG_RECEIVE, &slot[0]);
    if (r == 0 && item->channel && item->direction & TONG_SEND)
        r = tong_channel_pollfd(item->channel, TONG_SEND, &slot[1]);
    return r;
}

static int poll_slots(struct pollfd *slots, size_t count, int64_t deadline)
{
    int64_t left = deadline_left(deadline);
    struct timespec time = { left / 1000000000, left % 1000000000 };
    int r = sys_ppoll(slots, count, left < 0 ? NULL : &time, NULL);
    if (r == -EINTR)
        return fail_static(-EINTR, "a signal was caught before anything was ready");
    if (r < 0)
        return fail_call(r, "poll");
    return r == 0 ? wait_expired(deadline) : 0;
}

int tong_wait(tong_wait_item *items, size_t count, int64_t timeout)
{
    int64_t deadline = deadline_after(timeout);
    if (count > ITEMS_MAX || (count && items->size < sizeof *items))
        return fail(-EINVAL, "tong_wait: at most %d items, each with its size set", ITEMS_MAX);
    struct pollfd *slots = calloc(count ? 2 * count : 1, sizeof *slots);
    if (!slots)
        return fail(-ENOMEM, "tong_wait: out of memory");
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = collect(item_at(items, i), &slots[2 * i]);
    if (r == 0)
        r = poll_slots(slots, 2 * count, deadline);
    if (r == 0)
        for (size_t i = 0; i < count; i++) {
            tong_wait_item *item = item_at(items, i);
            item->ready = (slots[2 * i].revents ? TONG_RECEIVE : 0) | (slots[2 * i + 1].revents ? TONG_SEND : 0);
            r += item->ready != 0;
        }
    free(slots);
    return r;
}
