/* SPDX-License-Identifier: MIT */
/*
 * datagram.h - messages over sockets that keep boundaries: unix seqpacket and datagram.
 *
 * Seqpacket with frame=packet puts the header of frame.h before each message, for the type, for losses and for
 * an end that can be told from death.  Without it, and on datagram sockets always, nothing is added.
 *
 * A datagram that does not fit would be cut by the kernel and gone.  So every read has a second span behind the
 * caller's buffer; what falls into it makes the message kept instead of cut, at no extra system call.
 */
#ifndef CORE_DATAGRAM_H
#define CORE_DATAGRAM_H

#include "core/frame.h"
#include "core/made_name.h"
#include "core/mechanism.h"
#include "core/wait.h"

struct datagram {
    struct conduit base;
    int fd;
    bool owned;
    bool framed;
    bool connected;          /* it has an end: seqpacket */
    bool must_end;           /* the end of file without END means death, also if nothing came */
    bool creds;              /* deliver the sender's identity */
    tong_identity peer;      /* without creds: who made the other end, where there is one */
    int64_t admit;           /* -1, or, with creds, drop what comes from those whom this mode keeps out */
    size_t largest;
    char *heir_options;
    struct made_name made;   /* removed at close */

    uint8_t *spill;          /* behind the caller's buffer */
    uint8_t *kept;           /* a message that did not fit, or NULL */
    size_t kept_size;
    tong_message kept_meta;
    int ended;
    bool peer_began;         /* a framed message has come: an END must follow */
    uint32_t next;           /* number of the message that should come next */
    struct ready ready;

    uint32_t writer, number;
    unsigned generation;
    bool announced;
};

/* Makes the conduit over `fd`, taking it over only on success.  seqpacket: it is connected and has an end. */
int datagram_new(const struct open_request *request, const struct channel_facet *facet, int fd, bool seqpacket,
                 const char *object, struct datagram **ret);

int datagram_send(struct conduit *, const struct message_out *, int64_t deadline);
ssize_t datagram_receive(struct conduit *, struct message_in *, int64_t deadline);
int datagram_finish(struct conduit *, int64_t deadline);
int datagram_pollfd(struct conduit *, uint32_t direction, struct pollfd *);
int datagram_after_fork(struct conduit *);
int datagram_descriptor(struct conduit *, uint32_t direction);
int datagram_heir_options(struct conduit *, char *ret, size_t size);
int datagram_peer(struct conduit *, tong_identity *);
int datagram_describe(struct conduit *, tong_channel_info *);
int datagram_close(struct conduit *, bool forked);

#endif
