/* SPDX-License-Identifier: MIT */
/*
 * durable.h - records that are known again after the machine has stopped, whatever part of them had reached the disk.
 *
 * Every record has a check over what it says and over where it stands: the channel, the position, the session.  So no
 * record of an earlier lap, of an earlier session or half on the disk is taken for one.
 *
 * Room that was released is used again only once the disk knows that it was released.  So the bytes between the head on
 * the disk and the tail are those of no later lap, and what is whole from that head on, up to the first record that is
 * not, is a beginning of what was sent: nothing is missing in it, and all that was synced is in it.
 */
#ifndef RING_DURABLE_H
#define RING_DURABLE_H

#include "ring/ring.h"

/* A lane as it lies there, judged by its checks. */
struct ring_remains {
    const unsigned char *data; /* mapped twice */
    uint64_t capacity;
    uint64_t id;               /* of the channel */
    uint64_t cut, since;       /* of the place */
};

/* Where the records end that are whole from `head` on; whether the machine has `stopped` since they were written. */
uint64_t ring_durable_end(const struct ring_remains *remains, uint64_t head, bool stopped);

/* What a writer of such a lane has beside the ring. */
struct ring_durable {
    uint64_t id;
    uint64_t session;  /* its low half goes into every check */
    int receivers_fd;  /* of the segment in which the head lies */
    uint64_t life;     /* of the machine and of the file, as a number; 0: unknown */
    _Atomic int failed; /* what fdatasync(2) failed with; any thread, relaxed: it stands for nothing else */
};

/* fdatasync(2), which once it failed fails for ever. */
int ring_durable_sync(struct ring_durable *durable, int fd);

/* As their likes in ring.h; and the errors of fdatasync(2), as which room may fail. */
int ring_durable_room(struct ring_durable *durable, struct ring_writer *writer, uint64_t size);
int ring_durable_send(struct ring_durable *durable, struct ring_writer *writer, const void *data, uint64_t size,
                      int64_t type);
int ring_durable_reserve(struct ring_durable *durable, struct ring_writer *writer, uint64_t size, uint64_t *ret_claim);
int ring_durable_commit(struct ring_durable *durable, struct ring_writer *writer, uint64_t claim, uint64_t used,
                        int64_t type);
int ring_durable_abort(struct ring_durable *durable, struct ring_writer *writer, uint64_t claim);
void ring_durable_abandon(struct ring_durable *durable, struct ring_writer *writer);
/* `word` is word 1 of the mark. */
int ring_durable_mark(struct ring_durable *durable, struct ring_writer *writer, unsigned kind, uint64_t number,
                      uint64_t word);

#endif
