/* SPDX-License-Identifier: MIT */
/* udp_channel.h - one end of udp: as this process has it: opening and closing (udp.c), udp_send.c, udp_receive.c. */
#ifndef MECHANISM_UDP_CHANNEL_H
#define MECHANISM_UDP_CHANNEL_H

#include "core/frame.h"
#include "core/mechanism.h"
#include "core/stream.h"
#include "core/wait.h"
#include "mechanism/udp_senders.h"

/* No datagram has more bytes of payload, over IPv4 or IPv6 (udp(7); RFC 768, RFC 8200). */
#define UDP_LARGEST_4 65507
#define UDP_LARGEST_6 65527
#define UDP_ROOM (STREAM_PAGE + UDP_LARGEST_6 + 1)

/*
 * Where in a page-aligned buffer a datagram should begin that is copied to or from `other`: at a multiple of 64, where
 * the kernel's own copies are quickest (a round trip of 4 KiB takes 3 parts in 100 longer elsewhere), and half a page
 * from `other`, out of the reach of "4K aliasing" (core/stream.h).  To spare our copy by spans of header and payload
 * costs more than the copy: both ways were measured.
 */
static inline size_t udp_offset(const void *other)
{
    return ((uintptr_t)other + STREAM_PAGE / 2) % STREAM_PAGE / 64 * 64;
}

struct udp {
    struct conduit base;
    int fd;
    bool framed;
    bool bound;               /* it receives from everybody; else it is connected to one */
    bool answers;             /* bound, and it sends too: to who was heard last */
    size_t largest;

    /* The receiving side. */
    uint8_t *datagram;        /* page-aligned; header and payload of the one that came last */
    const uint8_t *kept;      /* in it, a message that did not fit the caller's buffer, or NULL */
    tong_message kept_meta;
    atomic_uint_fast64_t refused; /* written by the receiving side alone (relaxed) */
    struct ready ready;

    /* The sending side. */
    uint8_t *scratch;         /* page-aligned; header and payload side by side */
    uint32_t writer, number;

    /* With `answers` the receiving side says here who was heard last and the sending side reads it: under `lock`. */
    pthread_mutex_t lock;
    struct udp_senders *senders;  /* framed and receiving */
    union inet_address last;      /* unframed: who gets what is sent next */
    struct ready answerable;      /* before anybody was heard, that somebody may be; after it, room to send */
    atomic_bool heard;            /* somebody was (release); read without the lock (acquire) */
};

static inline void udp_lock(struct udp *udp)
{
    if (udp->answers)
        pthread_mutex_lock(&udp->lock);
}

static inline void udp_unlock(struct udp *udp)
{
    if (udp->answers)
        pthread_mutex_unlock(&udp->lock);
}

/* Notes who sent `frame` (unframed: NULL).  Under the lock. */
struct udp_sender *udp_heard(struct udp *udp, const union inet_address *from, const struct frame *frame);

/* Whether a datagram of `size` bytes is one of tong's; fills in *ret. */
bool udp_is_frame(const uint8_t *bytes, size_t size, struct frame *ret);

/* A header alone that announces the writer; receivers give it to nobody. */
void udp_announcement(uint32_t writer, uint32_t number, uint8_t ret[FRAME_HEADER]);

int udp_send(struct conduit *, const struct message_out *, int64_t deadline);
int udp_pollfd_send(struct udp *, struct pollfd *);
int udp_after_fork(struct conduit *);
ssize_t udp_receive(struct conduit *, struct message_in *, int64_t deadline);
int udp_pollfd_receive(struct udp *, struct pollfd *);

#endif
