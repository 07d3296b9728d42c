/* SPDX-License-Identifier: MIT */
/* appender.h - adding whole messages to the end of a file that others add to, and read, at the same time. */
#ifndef CORE_APPENDER_H
#define CORE_APPENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct appender {
    int fd;             /* O_RDWR | O_APPEND, on a description of its own, because the lock belongs to that */
    int frame;          /* FRAME_... of core/address.h */
    int cancel_fd;      /* -1, or what ends a wait for the lock */
    bool sync;          /* every message reaches the disk before append returns */
    uint64_t known;     /* all before this offset was judged, or written, by us */
    const char *object; /* for words; the owner's */
};

/* Adds one message, whole or not at all: a record, a line, or bytes as they are.  flags: RECORD_... */
int appender_append(struct appender *appender, const void *data, size_t size, int64_t type, uint8_t flags,
                    int64_t deadline);

#endif
