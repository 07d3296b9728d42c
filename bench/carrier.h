/* SPDX-License-Identifier: MIT */
/*
 * carrier.h - the same work carried two ways: by the kernel's bare system calls, as plainly as they can be
 * written, and through libtong with its defaults.
 */
#ifndef BENCH_CARRIER_H
#define BENCH_CARRIER_H

#include <netinet/in.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tong/tong.h"

/* What one carrier needs in one process; a carrier uses the members that concern it. */
struct carriage {
    const struct carrier *carrier;
    const char *frame;        /* "packet" or "none"; raw carriers ignore it */
    int window;               /* as in struct contest */
    int role;                 /* this process's; of a raw UDP socket: 1 is bound, and answers */
    char directory[64];       /* private, for names */
    int descriptors[4];       /* in, out of role 0; in, out of role 1 */
    int in, out;
    int queue;
    size_t size;              /* of every message: what a queue is made for */
    uint64_t name;            /* random, of two queues */
    int key;
    long send_type, receive_type;
    struct { long type; uint8_t text[8192]; } box;
    tong_channel *pair[2], *channel;
    tong_listener *listener;
    struct sockaddr_in client; /* of the raw server: whom it answers */
    bool spins;               /* raw: never sleep, look again and again */
    unsigned looked;
    bool free_of_others;      /* of semaphores: nobody else takes part */
    sem_t *counters;          /* two */
    tong_semaphore *semaphores[2];
};

struct carrier {
    const char *mechanism;
    /* All return 0 or a negative errno; after enter, send and receive end the process on failure. */
    int (*prepare)(struct carriage *);                              /* in the parent, before fork */
    int (*enter)(struct carriage *, int role);                      /* in each process: 0 parent, 1 child */
    void (*send)(struct carriage *, const uint8_t *data, size_t size);
    void (*receive)(struct carriage *, uint8_t *data, size_t size); /* one message of just that size */
    void (*leave)(struct carriage *, int role);                     /* role 0 also removes what prepare made */
};

/* Both carriers of one mechanism. */
struct contest {
    const struct carrier *raw, *tong;
    int window;               /* what may be lost: so many messages one way, then one back; 0: all go at once */
};

/*
 * Raw: what came of a call is -1.  Whether to call again, after a look elsewhere; else `what` failed, and the process
 * ends.
 */
bool carrier_again(struct carriage *c, const char *what);

extern const struct contest contest_pipe, contest_fifo, contest_unix, contest_tcp, contest_udp, contest_msgq,
    contest_mq;
extern const struct contest contest_sem, contest_sysvsem; /* semaphore.c; `frame` is "pingpong" or "free" */

#endif
