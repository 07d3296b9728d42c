/* SPDX-License-Identifier: MIT */
/*
 * What arrives in a byte stream was written by somebody else.  The bytes go through a pipe into a channel, in
 * every framing; reading ends, with messages or an error, and never returns more than was there or was asked.
 * The first byte of an input chooses the framing and the size of the buffer.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tong/tong.h>
#include <unistd.h>

#define PIPE_HOLDS 65536

static void receive_all(tong_channel *channel, size_t capacity, size_t size)
{
    static char buffer[PIPE_HOLDS];
    /* Every message costs the sender at least a byte; a buffer that is too small is met once a message. */
    for (size_t calls = 0; ; calls++) {
        PROMISE(calls < 2 * size + 16);
        tong_message message = TONG_MESSAGE_INIT;
        ssize_t r = tong_channel_receive(channel, buffer, capacity, &message, 0);
        if (r == -EMSGSIZE) {
            PROMISE(message.length > capacity);
            r = tong_channel_receive(channel, buffer, sizeof buffer, &message, 0);
        }
        if (r >= 0) {
            PROMISE((size_t)r <= size);
            PROMISE(message.length == (size_t)r || message.flags & TONG_MESSAGE_TRUNCATED);
            continue;
        }
        PROMISE(r == -ENODATA || r == -ECONNRESET || r == -EBADMSG || r == -EMSGSIZE);
        PROMISE(*tong_detail());
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const frames[] = { "packet", "packet", "line", "none" };
    int fds[2];
    char address[64];
    tong_channel *channel;
    if (size < 1 || size > PIPE_HOLDS || pipe(fds) < 0)
        return 0;
    PROMISE(write(fds[1], bytes + 1, size - 1) == (ssize_t)(size - 1));
    close(fds[1]);
    snprintf(address, sizeof address, "fd:%d?frame=%s&buffer=%s", fds[0], frames[bytes[0] & 3], bytes[0] & 4 ? "4K" : "64K");
    if (tong_channel_open(address, TONG_RECEIVE, 0, &channel) == 0) {
        receive_all(channel, bytes[0] & 8 ? 5 : 4096, size);
        tong_channel_close(channel);
    } else {
        close(fds[0]);
    }
    return 0;
}
