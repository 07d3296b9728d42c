/* SPDX-License-Identifier: MIT */
/* hello.h - what two say to each other when they meet (meeting.h), and what they hand over with it. */
#ifndef RING_HELLO_H
#define RING_HELLO_H

#include <stdint.h>
#include <sys/types.h>

#include "ring/meeting.h"

/* Once each way.  A refusal hands nothing over. */
struct ring_hello {
    char magic[8];
    uint32_t version;
    uint32_t ways;   /* TONG_SEND, TONG_RECEIVE of who says it */
    int32_t status;  /* 0, or a negative errno: the other one is refused */
    uint32_t zero;
};

struct ring_received {
    struct ring_hello hello;
    ssize_t size;
    int fd[HANDS];
    unsigned count;
};

/* Says it, with what we hand over if status is 0.  Does not wait. */
int ring_hello_say(const struct ring_meeting *meeting, int fd, int status);

/* 1 something came, 0 nothing yet, -ENOTCONN the other one is gone.  ring_hello_close() of what came. */
int ring_hello_hear(const struct ring_meeting *meeting, struct ring_received *ret);

void ring_hello_close(int *fds, unsigned count);

/* Whether it is one: -EPROTO, in words. */
int ring_hello_check(const struct ring_meeting *meeting, const struct ring_received *received);

/* Takes over what was handed: it is ours only once all of it was found good. */
int ring_hello_take(struct ring_meeting *meeting, struct ring_received *received);

/* Why the other one refused us, in words. */
int ring_hello_refused(const struct ring_meeting *meeting, const struct ring_hello *hello);

#endif
