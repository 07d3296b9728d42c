/* SPDX-License-Identifier: MIT */
/* The program that a test becomes by exec: it knows nothing but the address it was given. */
#include "heir.h"

#include <stdio.h>

#include "contract.h"

static int64_t converse(tong_channel *channel, bool sends)
{
    char text[8] = "";
    if (sends)
        return tong_channel_send(channel, "heir", 4, NULL, 10 * TONG_SECOND);
    int64_t r = 0, got = 0;
    for (; got < 4 && r >= 0; got += r)
        r = tong_channel_receive(channel, text + got, sizeof text - (size_t)got, NULL, 10 * TONG_SECOND);
    return r < 0 ? r : strncmp(text, "heir", 4) ? -EBADMSG : 0;
}

int heir_main(const char *address, const char *task)
{
    tong_channel *channel;
    bool sends = !strcmp(task, "send");
    int64_t r = tong_channel_open(address, sends ? TONG_SEND : TONG_RECEIVE, TONG_SECOND, &channel);
    if (r == 0) {
        r = converse(channel, sends);
        int closed = tong_channel_close(channel);
        r = r < 0 ? r : closed;
    }
    if (r < 0)
        fprintf(stderr, "heir of %s: %s\n", address, tong_detail());
    return r < 0;
}
