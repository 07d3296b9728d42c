/* SPDX-License-Identifier: MIT */
/* follower.h - reading messages from a file as it grows. */
#ifndef CORE_FOLLOWER_H
#define CORE_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mechanism.h"
#include "core/wait.h"

struct follower {
    int fd;               /* -1: none */
    int notify_fd;        /* inotify on that very file; -1 until somebody waits or polls */
    int cancel_fd;
    int frame;            /* FRAME_... */
    bool follow;          /* END records and the end of the file are no ends */
    bool attended;        /* behind an END, when last looked: another sender was there */
    uint64_t largest;     /* line that is read */
    uint64_t position;    /* of the next message */
    /* file[at..at+have) as it was once: a record that is whole in there is good for ever, since files only
     * grow; one that is not whole is read again, since a torn one may have been cut and another written. */
    unsigned char *bytes;
    size_t size, have;
    uint64_t at;
    struct ready ready;   /* raised unless a look behind the last drained event found nothing */
    const char *object;   /* for words; the owner's */
};

#define FOLLOWER_NONE (struct follower){ .fd = -1, .notify_fd = -1, .cancel_fd = -1, .ready = READY_INIT }

/* Takes `fd` over, also when it fails; the other fields that say how to read are set by the caller before. */
int follower_open(struct follower *follower, int fd, size_t buffer);
void follower_close(struct follower *follower);

/* Begins behind the last whole message there is. */
int follower_skip_to_end(struct follower *follower);

/* As the functions of the same name in struct channel_facet. */
ssize_t follower_receive(struct follower *follower, struct message_in *in, int64_t deadline);
int follower_pollfd(struct follower *follower, struct pollfd *ret);

/* In a forked child: events of its own, since those of an inherited inotify descriptor go to one of both. */
void follower_after_fork(struct follower *follower);

#endif
