/* SPDX-License-Identifier: MIT */
/*
 * meeting.h - how two processes that know one name come to have a private channel.
 *
 * Whoever comes first binds a socket there and goes on; whoever comes next connects.  Each looks at the other's
 * credentials before it hands over, in one message, the segment that it writes itself and the pipe at which it wants to
 * be rung.  Then the name is gone, and the two are alone.  Nothing of it waits but a third: who came first looks in those of
 * its calls that wait, or find nobody to tell, and so does who came second, as its message lies at the other's door until
 * then.
 */
#ifndef RING_MEETING_H
#define RING_MEETING_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/local_name.h"
#include "core/made_name.h"
#include "ring/object.h"
#include "tong/base.h"

/* What a side hands over: a sender the first two, a receiver the others. */
enum { HAND_SENDERS, HAND_ROOM, HAND_RECEIVERS, HAND_BELL, HANDS };

enum { MEETING_AWAITED = 0, MEETING_HELD = 1, MEETING_CLOSED = 2 }; /* or why there will be none: a negative errno */

struct ring_meeting {
    struct ring_home home;       /* by which the ends' objects find it: first */
    const char *object;          /* in words; the conduit's */
    struct local_name name;
    uint32_t uid;                /* of whom it is held with */
    uint32_t ways;               /* TONG_SEND, TONG_RECEIVE: what we do */
    _Atomic int state;           /* released by who holds the lock; acquired by who does not */
    pthread_mutex_t lock;        /* of all below: both directions look, and describe and peer ask */
    int epoll_fd;                /* of the sockets; stays readable once the meeting was held */
    int listener_fd;             /* we came first, by name; else -1 */
    int socket_fd;               /* connected to whoever may be it; else -1 */
    bool greeted;                /* we connected, and what we hand over was sent */
    int64_t since;               /* when socket_fd was accepted */
    struct made_name made;
    int ours[HANDS], theirs[HANDS]; /* -1: not there, or taken */
    struct layout_shape shape;   /* of the senders' segment that was handed over */
    tong_identity peer;          /* as the kernel vouched */
    char refusal[256];           /* why there will be no meeting */
};

/* Makes it, with nobody there yet.  ring_meeting_close() undoes it. */
int ring_meeting_open(struct ring_meeting *meeting, const char *object, const struct address *address, uint32_t ways);

/* What we would have handed over. */
void ring_meeting_forget(struct ring_meeting *meeting, unsigned hand);

/* Comes to `name`, which is set: connects, or binds.  -ETIMEDOUT: until the deadline two others there had not met; -EBUSY:
 * nor in a moment, which DEADLINE_NOW gives them. */
int ring_meeting_arrive(struct ring_meeting *meeting, int cancel_fd, int64_t deadline);

/* Looks: 1 it was held, 0 nobody came yet, or why there will be none. */
int ring_meeting_look(struct ring_meeting *meeting);

/* Waits for it: 0, -ETIMEDOUT, -EAGAIN, -EINTR, -ECANCELED, or why there will be none. */
int ring_meeting_await(struct ring_meeting *meeting, int cancel_fd, int64_t deadline);

/* Why there will be none, as one who sends or receives is told. */
int ring_meeting_refusal(const struct ring_meeting *meeting, bool sender);

void ring_meeting_close(struct ring_meeting *meeting, bool forked);

#endif
