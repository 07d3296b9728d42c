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

/* Who sees, in the ledger.  Where a message goes to one of many, who comes before and after the first are others. */
enum { FIRST = 0, SURVIVOR = 1, HEIRS_VIEW = 2, FORMER_VIEW = 3 };

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
    QUIET = 0x200,   /* another receiver does nothing until the victim is gone */
    PART = 0x400     /* one of the few that are enough where nothing but the memory is another */
};

/* To whom messages go, and who is there beside the victim and its partner. */
struct delivery {
    const char *name;
    const char *scheme, *options;
    const char *receiver; /* more options, of a receiver with this name */
    bool thorough;        /* even the short form kills at every instruction of a short operation */
    bool others;          /* another sender goes on all the while */
    bool survivor;        /* another receiver does */
    bool pieces;          /* a batch is sent whole as far as the next index */
    bool shared;          /* each message goes to one of the receivers */
    uint32_t direction;   /* of the victim; 0: both */
    unsigned only, never; /* flags that an operation must have; that it must not */
    bool meets;           /* who opens waits for the other end; nothing has a name, and nothing outlives its two ends */
};

/* What the processes of an episode have in common. */
struct scene {
    struct ledger *ledger;
    const struct operation *operation;
    const struct delivery *delivery;
    const char *address;
};

struct victim {
    struct ledger *ledger;
    const struct scene *scene;
    unsigned view;
    char address[256];
    const struct operation *operation;
    tong_channel *channel;
    tong_token token[LEDGER_BATCH];
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

/* Opens the channel: a receiver as the one that has this view. */
tong_channel *scene_open(const struct scene *scene, uint32_t direction, unsigned view);
/* The address for that. */
void scene_address(const struct scene *scene, uint32_t direction, unsigned view, char *ret, size_t size);

/* The process that is stepped: prepares, waits for the stepper, runs. */
void operation_victim(const struct scene *scene) __attribute__((noreturn));

/* A predecessor of the victim, which stops when it is ready to be killed. */
void operation_predecessor(const struct scene *scene) __attribute__((noreturn));

#endif
