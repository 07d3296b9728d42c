/* SPDX-License-Identifier: MIT */
/*
 * contract.h - one suite for every mechanism: a table of rows (how to get two ends), a table of tests (what
 * facets each needs), and every test runs on every row that has them.
 */
#ifndef TEST_CONTRACT_H
#define TEST_CONTRACT_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <tong/tong.h>
#include <unistd.h>

#include "frame.h"

/* How two connected ends are made. */
enum making {
    MAKE_OPEN,       /* the receiver opens the address, then the sender */
    MAKE_LISTEN,     /* a listener, a client that opens the address, accept */
    MAKE_PAIR,       /* tong_channel_pair() */
    MAKE_PIPE,       /* fd: over the ends of a pipe(2) */
    MAKE_SOCKETPAIR, /* fd: over the ends of a socketpair(2) */
    MAKE_SEQPACKETS  /* the same, of sockets that keep boundaries */
};

/* What a row promises beside TONG_HAS_...: bits above those of tong/mechanism.h. */
#define HAS_BOUNDARIES (UINT64_C(1) << 32)   /* messages, not bytes */
#define HAS_ANY_BYTES (UINT64_C(1) << 33)    /* a message may hold any byte */
#define HAS_EMPTY (UINT64_C(1) << 34)        /* a message may be empty */
#define HAS_TYPE (UINT64_C(1) << 35)         /* the type travels */
#define HAS_DEATH (UINT64_C(1) << 36)        /* death is told from the orderly end */
#define HAS_END (UINT64_C(1) << 37)          /* closing is seen as the end */
#define HAS_BROKEN (UINT64_C(1) << 38)       /* a sender learns that nobody is left to receive */
#define HAS_FULL (UINT64_C(1) << 39)         /* it can be full */
#define HAS_NAME (UINT64_C(1) << 40)         /* unrelated processes open it by name */
#define HAS_PATH (UINT64_C(1) << 41)         /* and the name is a path with a mode */
#define HAS_BOTH (UINT64_C(1) << 42)         /* this row's ends go both ways */
#define HAS_FORKING (UINT64_C(1) << 43)      /* its ends work in a forked child as they are */
#define HAS_NO_FORKING (UINT64_C(1) << 44)   /* its ends refuse to */
#define HAS_ROOM (UINT64_C(1) << 45)         /* messages of 1 MiB fit */
#define HAS_HEIRS (UINT64_C(1) << 46)        /* an executed program can take it over */
#define HAS_DROP (UINT64_C(1) << 47)         /* full=drop|fail */
#define HAS_SENDER (UINT64_C(1) << 48)       /* creds=on: the kernel names each sender */
#define HAS_CREATE (UINT64_C(1) << 49)       /* create=yes|no|excl */
#define HAS_READY (UINT64_C(1) << 51)        /* gives a descriptor to poll, as this row opens it */
#define HAS_SPURIOUS (UINT64_C(1) << 52)     /* looks by the clock, so readiness says little */
#define HAS_OTHER (UINT64_C(1) << 53)        /* the peer is who opened the other end, not who made both */
#define HAS_TEARING (UINT64_C(1) << 54)      /* writers that share one description and add no header: whole up to PIPE_BUF */
#define HAS_SESSIONS (UINT64_C(1) << 55)     /* the next sender or receiver may come: an end is told once */
#define HAS_MAILBOX (UINT64_C(1) << 56)      /* who leaves in order is not missed: it is filled before and drained after */
#define HAS_PRIORITY (UINT64_C(1) << 59)     /* the type is a priority: the highest comes first */
#define HAS_PORT (UINT64_C(1) << 57)         /* the name is a port that the kernel chooses: ends say it to one another */
#define HAS_LOSS (UINT64_C(1) << 58)         /* what outruns the receiver is lost, and counted */
#define HAS_NUMBERS (UINT64_C(1) << 60)      /* a message is the text of an int, or empty */
#define HAS_TEXT (UINT64_C(1) << 61)         /* a message may hold any text: all rows but those of numbers */
#define HAS_LONG (UINT64_C(1) << 50)         /* messages above PIPE_BUF fit */
#define HAS_GLANCES (UINT64_C(1) << 62)      /* looks around once a second, and is ready for nothing then */

struct row {
    const char *name;       /* what the command line calls it */
    const char *scheme, *variant;
    enum making making;
    /* Addresses of both ends; %P a path in the tests' directory, %N a name with their mark, %K a key, %I this
     * process, %S a real-time signal. */
    const char *sender, *receiver;
    uint64_t required;      /* TONG_HAS_... that design.md requires of it: lacking one fails the suite */
    uint64_t has;           /* HAS_... */
};

extern const struct row rows[];
extern const int rows_count;

/* A test runs on the rows that have all of `needs` and none of `unless`. */
struct contract_test {
    const char *name;
    void (*run)(const struct row *);
    uint64_t needs, unless;
    double seconds;
};

extern const struct contract_test message_tests[], waiting_tests[], ending_tests[], process_tests[], object_tests[],
    special_tests[];

/* Two ends of one conduit: `sender` also receives, and `receiver` also sends, where both was asked for. */
struct ends {
    const struct row *row;
    tong_channel *sender, *receiver;
    tong_listener *listener;
    int fds[2];            /* what fd: is made of, until it is opened: receiving, sending; else -1 */
    char address[2][512];  /* of the sender, of the receiver */
};

/* The row's addresses with `options` ("a=b&c=d" or NULL) added, nothing opened. */
void ends_address(struct ends *ends, const struct row *row, const char *options);

/* Opens both in this process.  flags: 0 or TONG_CANCELLABLE, and TONG_BOTH if both ends shall do both. */
void ends_open(struct ends *ends, const struct row *row, const char *options, uint32_t flags);

/* Prepares what has to be there before fork(); then each process opens, and keeps, its own end. */
void ends_prepare(struct ends *ends, const struct row *row, const char *options, uint32_t flags);
void ends_open_receiver(struct ends *ends, uint32_t flags);
void ends_open_sender(struct ends *ends, uint32_t flags);

/* Runs `child` on the sending end in another process; this one has the receiving end when it returns. */
pid_t ends_with_sender(struct ends *ends, const struct row *row, const char *options, uint32_t flags,
                       void (*child)(tong_channel *));
/* The other way round. */
pid_t ends_with_receiver(struct ends *ends, const struct row *row, const char *options, uint32_t flags,
                         void (*child)(tong_channel *));

/* Closes what is open and removes the object. */
void ends_close(struct ends *ends);

/* What a sender that has time does: closing alone does not wait until the end is told. */
void finish_and_close(tong_channel *channel);

/* Fills data[0..size) with what only message `number` holds, without newlines; and says whether it does. */
void pattern_fill(void *data, size_t size, uint32_t number);
bool pattern_holds(const void *data, size_t size, uint32_t number);

/* Receives exactly `size` bytes, however a byte stream cuts them. */
void receive_bytes(tong_channel *channel, void *data, size_t size);

/* Sends messages of `size` bytes until it is full, and returns how many went. */
int fill(tong_channel *channel, size_t size);

uint64_t largest(tong_channel *channel);

#endif
