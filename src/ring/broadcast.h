/* SPDX-License-Identifier: MIT */
/*
 * broadcast.h - the lane of a broadcast is a log: what all receivers have taken stays until it is overwritten.
 *
 * Indexes.  Into a sixteenth of a lane the sender writes an index, a record that says how many messages were before it.
 * The floor, from which on everything is whole, moves from index to index.  So who begins with the oldest message, or was
 * overtaken, stands at an index, and knows by it and by its own count how many messages it missed.  No other record
 * carries a number.  The position 0 counts as an index of the number 0.
 *
 * Room.  Bytes from the floor on may not be overwritten.  To go on, the sender takes the next index for the floor to be,
 *
 *     S1 stores it as the floor,   S2 passes a light fence,   S3 looks at the seats of the receivers,
 *
 * and overwrites what lies below only if S3 found nobody who is waited for (slow=wait), has an open session, is not known
 * to be dead, and stands below.  The head that it acquires there was released behind that receiver's last read.  It looks
 * before S1, too, so that nobody is overtaken for the sake of one who then holds the sender up.
 *
 * Coming.  A receiver that is waited for
 *
 *     R1 stores its positions, then (seq_cst) its session,   R2 has everybody pass a full fence (membarrier),
 *     R3 looks at the floors again, and begins anew where one has passed its position.
 *
 * This is Dekker's store buffer, whose dear fence is paid by who comes, as in ring/shared.h.  A look of the sender (S3) whose
 * loads come after the fence of R2 sees session and position: the sender waits.  If they came before, then S1, which is
 * before them for the compiler, was before the fence, too, and R3 sees that floor.  One look again is enough: from R2 on every
 * S3 sees the session, and a position that is never above the one that holds.  A sender that cannot be made to pass a
 * fence (`fences`) passes a full one at S2; a receiver that cannot ask for it sleeps for a millisecond at R2, in which
 * every store buffer drains.
 *
 * Being overtaken.  A receiver that is not waited for (slow=skip, slow=drop, readonly=yes) reads what may be overwritten
 * meanwhile, and believes it only if the floor, read behind an acquire fence, has not passed the beginning of the record
 * (ring_is_whole).  The sender stores the floor, and passes a release fence, before it overwrites anything below: so who
 * has read a byte that was overwritten sees that floor, or a later one.  Nothing that was read is followed before that: a
 * length is bounded by the capacity, so no read leaves the lane.  The copies race with the sender's stores, as in every
 * seqlock; the words on which anything depends are atomic.
 *
 * A sender that takes a lane over walks from the floor to the end and finds the indexes and the number again, each
 * step checked.  Its predecessor may have stored a floor whose look (S3) it did not live to see, so the floor is
 * looked at once more before anything is overwritten.
 */
#ifndef RING_BROADCAST_H
#define RING_BROADCAST_H

#include "ring/ring.h"

#define RING_INDEXES 32 /* that a sender remembers; a power of two, at least RECORD_CHUNKS + 1 */

/* What a sender knows of its log, beside its struct ring_writer, whose `head` is where the room that is known ends. */
struct ring_log {
    const struct layout_receivers *receivers;
    unsigned lane;
    bool fences;                  /* S2 is a full fence */
    unsigned holder;              /* the receiver that was last found to hold us up */
    uint64_t gone[LAYOUT_PLACES]; /* the newest session of each receiver that was found dead */
    uint64_t floor;               /* below it may be overwritten */
    uint64_t announced;           /* the shared one: the same, or the next */
    uint64_t newest, newest_end;  /* the last index */
    uint64_t marked;              /* the last one that was published */
    uint64_t index[RING_INDEXES]; /* positions of those above the floor, oldest first: [first, next) */
    unsigned first, next;
};

/* As ring_writer_open(). */
int ring_log_open_writer(struct ring_writer *writer, struct ring_log *log, struct layout_place *own, unsigned char *data,
                         uint64_t capacity);

/* Finds room for a record, and the mark of the end behind it: 0, -EAGAIN, -ENOMEM.  Writes an index if one is due. */
int ring_log_room(struct ring_writer *writer, uint64_t bytes);

/* Claims were published, and with them perhaps an index. */
void ring_log_published(struct ring_writer *writer);

/* Where a receiver begins in a lane. */
struct ring_start {
    uint64_t head, quiet_to;
    bool resumed; /* at its own position, whose count is in the cursor; else at an index */
    bool awaited; /* at the beginning of a lane that had none yet when it came */
};

/* Begins there, with the cursor as it is.  -EBADMSG, -ENOMEM. */
int ring_log_open_reader(struct ring_reader *reader, struct layout_cursor *own, const struct layout_place *sender,
                         const unsigned char *data, uint64_t capacity, const struct ring_start *start);

/* ring_next() in a broadcast.  Where the reader was overtaken it goes on with what is whole, and adds to `missed`.  It passes
 * over indexes, too, and over messages that are not to be seen. */
int ring_log_next(struct ring_reader *reader, struct ring_record *ret);

#endif
