/* SPDX-License-Identifier: MIT */
/*
 * udp_senders.h - whom a receiver of datagrams has heard, and what it missed of each.
 *
 * A sender is known by where it sends from and by the number it chose when it opened, so that nobody from elsewhere can
 * disturb its count.  No more than UDP_SENDERS are remembered, whatever arrives: the one that was silent longest makes
 * room.
 */
#ifndef MECHANISM_UDP_SENDERS_H
#define MECHANISM_UDP_SENDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/inet.h"

#define UDP_SENDERS 256

/*
 * What has come of numbers 0, 1, 2 ...: bit i of `seen` says that number next - 1 - i has.  A number above `next` tells
 * of a gap at once, because nothing may follow; should one of the gap come late, `late` takes it off the next gap, so
 * that the sum stays right.  A header holds the low half of a number; the one nearest to `next` is meant.
 */
struct udp_sequence {
    int64_t first, next; /* before `first` nothing is known */
    uint64_t seen;
    uint64_t late;
};

/* Notes that `number` came.  False: it had come before.  *ret_lost: how many are now known to be lost. */
bool udp_sequence_note(struct udp_sequence *sequence, uint32_t number, uint64_t *ret_lost);

struct udp_sender {
    union inet_address from;
    uint32_t writer;
    bool known;
    struct udp_sequence sequence;
    uint32_t answer_writer, answers; /* as whom we answer it, and how often we did */
    uint64_t touched;
};

struct udp_senders {
    unsigned count;
    uint64_t clock;
    bool forgot;          /* a sender had to make room: who is new may be an old one */
    uint32_t next_writer; /* chosen at random at first; each sender is answered by a writer of its own */
    struct udp_sender *recent;
    struct udp_sender *answered; /* who gets what is sent next: it is not forgotten */
    struct udp_sender senders[UDP_SENDERS];
};

/* The sender, remembered from now on.  Never NULL. */
struct udp_sender *udp_sender_of(struct udp_senders *senders, const union inet_address *from, uint32_t writer);

/* Begins the sequence of a sender that is new, at its message `number`: what came before is lost, unless this may be
 * one that was forgotten. */
void udp_sender_begins(const struct udp_senders *senders, struct udp_sender *sender, uint32_t number);

/* In a forked child: answers go out as writers of its own, from `next_writer` on, so that nobody takes them for its
 * parent's. */
void udp_senders_after_fork(struct udp_senders *senders, uint32_t next_writer);

#endif
