/* SPDX-License-Identifier: MIT */
/* poll, select and epoll: what they wait for lies in the caller's memory, or in the kernel's book of the epoll set. */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "inspect/waits.h"

#define ITEMS 512       /* descriptors that are read of one call; who waits for more is not judged */

/* Of no event that was asked for, errors and the other side's end are told all the same. */
static void wait_for_events(struct look_at_thread *look, int fd, bool receive, bool send)
{
    if (receive || !send)
        wait_on_descriptor(look, fd, TONG_RECEIVE, true);
    if (send)
        wait_on_descriptor(look, fd, TONG_SEND, true);
}

void call_poll(struct look_at_thread *look)
{
    struct pollfd items[ITEMS];
    uint64_t count = look->argument[1];
    if (count > ITEMS || (count && !wait_peek(look, look->argument[0], items, count * sizeof *items))) {
        wait_open(look, "descriptors that could not be read");
        return;
    }
    uint32_t first = waits_threads(look->waits)[look->thread].count;
    for (uint64_t i = 0; i < count; i++)
        if (items[i].fd >= 0)
            wait_for_events(look, items[i].fd, items[i].events & (POLLIN | POLLPRI | POLLRDHUP),
                            items[i].events & POLLOUT);
    if (waits_threads(look->waits)[look->thread].count == first)
        wait_open(look, "a signal");
}

/* NULL is an empty set. */
static bool peek_set(struct look_at_thread *look, uint64_t at, unsigned char *ret, size_t size)
{
    memset(ret, 0, ITEMS / 8);
    return at == 0 || size == 0 || wait_peek(look, at, ret, size);
}

static bool is_in(const unsigned char *set, unsigned fd)
{
    return set[fd / 8] >> fd % 8 & 1;
}

/* The kernel writes the result over these sets only when it returns. */
void call_select(struct look_at_thread *look)
{
    unsigned char sets[3][ITEMS / 8];
    uint64_t count = look->argument[0];
    size_t size = count <= ITEMS ? (count + 63) / 64 * 8 : 0;
    bool read = count <= ITEMS;
    for (unsigned i = 0; i < 3 && read; i++)
        read = peek_set(look, look->argument[i + 1], sets[i], size);
    if (!read || count == 0) {
        wait_open(look, read ? "a signal" : "descriptors that could not be read");
        return;
    }
    for (unsigned fd = 0; fd < count; fd++)
        if (is_in(sets[0], fd) || is_in(sets[1], fd) || is_in(sets[2], fd))
            wait_for_events(look, (int)fd, is_in(sets[0], fd) || is_in(sets[2], fd), is_in(sets[1], fd));
}

void call_epoll(struct look_at_thread *look)
{
    wait_on_descriptor(look, (int)look->argument[0], TONG_RECEIVE, true);
}
