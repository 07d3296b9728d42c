/* SPDX-License-Identifier: MIT */
/*
 * peer.h - what the programs of other libraries share: the protocol of bench/work.h is spoken and the work is done by
 * peer_main; a program gives the wire and says what it can.
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#include "bench/work.h"

#ifdef __cplusplus
extern "C" {
#endif

struct peer {
    struct wire wire;
    const char *description;   /* the lines of `describe` */
    void (*server)(const char *directory); /* or NULL: becomes the server; says ready by peer_ready() */
};

int peer_main(int argc, char **argv, const struct peer *peer);

void peer_ready(void);

/*
 * Memory of `size` bytes that all processes of this measurement share, under `name`; zeroed, and `prepare` was called
 * on it once.
 */
void *peer_shared(struct end *end, const char *name, size_t size, void (*prepare)(void *));

/* A file of the measurement: its path in memory that the caller frees by ending. */
const char *peer_path(const struct end *end, const char *name);

#ifdef __cplusplus
}
#endif

#endif
