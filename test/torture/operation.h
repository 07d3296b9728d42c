/* SPDX-License-Identifier: MIT */
/*
 * operation.h - what a victim is killed in, and what its death may have left.
 *
 * An operation is prepared at full speed and run under the stepper.  Its row says what has certainly happened when it
 * has returned, and so what may have happened or not when it was killed.
 */
#ifndef TORTURE_OPERATION_H
#define TORTURE_OPERATION_H

#include "ledger.h"

/* Who sends, in the ledger. */
enum { VICTIM = 0, OTHER = 1, SUCCESSOR = 2, PREDECESSOR = 3, SENDERS = 4 };

enum {
    OPENS = 0x1,     /* the operation opens the channel */
    ENDS = 0x2,      /* it ends the session */
    WHOLE = 0x4,     /* its messages are seen all or not at all */
    ASLEEP = 0x8,    /* the partner sleeps, so that it has to be woken */
    HELD = 0x10,     /* the partner does nothing until it is prodded */
    ALONE = 0x20,    /* there is no channel yet, nor a partner */
    HEIR = 0x40,     /* one who had the victim's place before was killed */
    LARGE = 0x80,    /* messages in bulk */
    FULL = 0x100,    /* the partner sends as much as it can */
    REMOVES = 0x200  /* the channel is gone afterwards */
};

struct victim {
    struct ledger *ledger;
    const char *address;
    const struct operation *operation;
    tong_channel *channel;
    tong_token token[LEDGER_BATCH];
    unsigned from[LEDGER_BATCH]; /* who sent what the tokens hold */
    size_t size[LEDGER_BATCH];
};

struct operation {
    const char *name;
    uint32_t direction;                      /* TONG_SEND or TONG_RECEIVE */
    unsigned flags;
    unsigned sends, receives, peeks, releases; /* messages, when it has returned */
    void (*prepare)(struct victim *victim);  /* NULL: nothing but to open */
    int (*run)(struct victim *victim);       /* negative: it failed */
};

extern const struct operation operations[]; /* ends with a row without a name */

/* The process that is stepped: prepares, waits for the stepper, runs. */
void operation_victim(struct ledger *ledger, const struct operation *operation, const char *address)
    __attribute__((noreturn));

/* A predecessor of the victim, which stops when it is ready to be killed. */
void operation_predecessor(struct ledger *ledger, const struct operation *operation, const char *address)
    __attribute__((noreturn));

#endif
