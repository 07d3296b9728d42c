/* SPDX-License-Identifier: MIT */
/* queue_ends.h - how several receivers of the same lanes learn of a sender's end, each of them, and of a death as one. */
#ifndef RING_QUEUE_ENDS_H
#define RING_QUEUE_ENDS_H

#include "ring/channel.h"
#include "ring/queue.h"

/* To be called before the mark is claimed: who finds none unclaimed any more has acquired that claim, and so sees the death. */
void ring_queue_announce(struct ring_channel *channel, const struct queue_record *mark);

/* A mark was claimed: RING_PASSED once the other receivers know, and those that come after them; or an error. */
int ring_queue_read_mark(struct ring_channel *channel, const struct queue_record *mark, uint64_t length);

/* What of a lane's sender is news to us: -ENODATA, -ECONNRESET, 0 nothing, 1 it is there. */
int ring_queue_end_of(struct ring_channel *channel, unsigned lane, bool ask, uint64_t *ret_number);

/* Looks for sessions that have ended.  The number of them, or an error. */
int ring_queue_find_ends(struct ring_channel *channel, bool ask, bool take);

#endif
