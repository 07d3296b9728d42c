/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - what was sent and what arrived, in memory that outlives the processes that are killed.
 *
 * Every sender that ever lives has a number and counts its messages; each message says who sent it, which it is, and
 * carries a checksum of itself.  A sender raises `begun` before a message may become visible and `done` once it must be.
 * Whoever receives enters it here, which checks that it is whole, that it was begun, and that it may come to him now.
 *
 * A view is what must come in order: all that one receiver and its successors see, or, if a message goes to one of many,
 * what each of them sees.  In a view that sees every message the next of a sender must come; among many receivers, one
 * that nobody has seen.  What comes again must be flagged, and must have been in the hands of one who is gone.
 *
 * Receivers that share take and enter at the same time.  One who dies before its claim is made leaves a hold on what another
 * one then claims, and a third one gets that again, flagged, perhaps before the other has entered it (ring/queue_again.c).
 * So of a message all that came may be flagged but one, which need not be the first; but if it is not, somebody has died so.
 */
#ifndef TORTURE_LEDGER_H
#define TORTURE_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "tong/tong.h"

#define LEDGER_SENDERS 4096
#define LEDGER_BIGGEST 8192 /* bytes of the largest message of these tests */
#define LEDGER_ENDS 32
#define LEDGER_BATCH 4
#define LEDGER_VIEWS 16
#define LEDGER_OWED 16
#define LEDGER_NUMBERS (1 << 20) /* messages that a sender may send, if receivers share them */
#define LONG (20 * TONG_SECOND) /* a wait that ends before, or the test fails */

struct ledger_sender {
    _Atomic uint64_t begun, done; /* messages that may be visible; that must arrive */
    _Atomic uint64_t arrived;     /* shared: different ones that did */
};

/* Of one sender's messages. */
struct ledger_row {
    _Atomic uint64_t seen;  /* the number that must come next, at least */
    _Atomic uint64_t again; /* so many before that may come once more: their receiver died with them in hand */
    _Atomic uint64_t owed;  /* so many before that must come once more */
    _Atomic uint64_t ahead; /* so many may be missing: their receiver died before it could enter them */
    _Atomic uint64_t buried; /* of them those that it had copied; of the others it was told that they are lost */
};

struct ledger_view {
    _Atomic uint64_t since; /* the first sender that came after this view; of those before, the first may be any */
    _Atomic uint64_t lost;  /* messages that it was told it missed, and that are not accounted for yet */
    volatile int ready;
    unsigned char copy[LEDGER_BIGGEST]; /* the last message that its receiver copied */
    struct ledger_row row[LEDGER_SENDERS];
};

struct ledger {
    volatile int inside;          /* the victim is in the operation */
    volatile int ready, other_ready, survivor_ready, stop, prodded, gone, last, over; /* between the processes of one episode */
    volatile int ends[LEDGER_ENDS];
    volatile int ended;           /* how many of them */
    volatile int64_t noticed;     /* when a death was told */
    volatile pid_t noticer;       /* to whom, and */
    volatile pid_t partner;       /* whom the victim may want to sleep */
    volatile int64_t starved;     /* ledger_starved() of it then */
    bool shared;                  /* a message goes to one of many receivers, each of whom has a view */
    _Atomic uint64_t redelivered, received;
    _Atomic uint64_t overdue;     /* calls that took longer than they may */
    _Atomic uint64_t refused;     /* attempts to change the size of what is sealed */
    _Atomic uint64_t missing;     /* messages that a dead receiver took and nobody saw */
    _Atomic uint64_t lost;        /* messages that receivers had missed, and were told of */
    _Atomic uint64_t ahead;       /* shared: so many may be missing */
    _Atomic uint64_t late;        /* shared: messages that came flagged before they came without */
    _Atomic uint64_t owed[LEDGER_OWED]; /* shared: messages that must come once more, or 0 */
    volatile int result;          /* of the victim's operation */
    volatile int beat[LEDGER_ENDS]; /* each process raises its own as it goes on */
    unsigned char buffer[LEDGER_BATCH][LEDGER_BIGGEST]; /* what it sends or received */
    volatile int failed;
    char failure[512];
    struct ledger_sender sender[LEDGER_SENDERS];
    struct ledger_view view[LEDGER_VIEWS];
    _Atomic uint64_t seen[LEDGER_SENDERS][LEDGER_NUMBERS / 64]; /* shared: bits of messages that arrived */
    _Atomic uint64_t plain[LEDGER_SENDERS][LEDGER_NUMBERS / 64]; /* of those that did without a flag */
};

struct ledger *ledger_make(void);
/* As new, for that many senders that there were. */
void ledger_clear(struct ledger *ledger, unsigned senders);
/* A receiver comes whom that view knows nothing of. */
void ledger_renew(struct ledger *ledger, unsigned view, unsigned senders);

/* Enters a failure and ends the process.  In the process that made the ledger: with its words on standard error. */
void ledger_fail(struct ledger *ledger, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#define MUST(ledger, condition, ...)             \
    do {                                         \
        if (!(condition))                        \
            ledger_fail((ledger), __VA_ARGS__);  \
    } while (0)

/* Fills in message number `number` of a sender; its size, which is at least `least`. */
size_t ledger_write(void *buffer, unsigned sender, uint64_t number, size_t least);

/* Enters a message that arrived in a view, and what was said of it (NULL: nothing).  Its sender. */
unsigned ledger_enter(struct ledger *ledger, unsigned view, const void *data, size_t size, const tong_message *meta);

/* A message is in the hands of one who may die: it may come again, or it must. */
void ledger_hold(struct ledger *ledger, unsigned view, const void *data, bool must);
/* A receiver that copied into its view is gone.  The message that it did not live to enter may be gone, too, and if receivers are
 * overtaken (`lossy`), the losses that it was told of with it.  Up to `hands` of each sender's messages may come again. */
void ledger_bury(struct ledger *ledger, unsigned view, unsigned hands, bool lossy, unsigned senders);
/* Of what is received now so many may never be entered. */
void ledger_risk(struct ledger *ledger, unsigned view, unsigned messages, unsigned senders);
/* Messages that must come once more. */
unsigned ledger_owed(const struct ledger *ledger, unsigned view, unsigned senders);

/* All that was surely sent has arrived in that view; if they share, in any. */
void ledger_settle(struct ledger *ledger, unsigned view, unsigned senders);

/* ---- Small things that all of these tests need ------------------------------------------------------------------ */

int64_t ledger_now(void);
/* For how long that process ever waited for a processor, in nanoseconds (proc(5), schedstat); 0: unknown. */
int64_t ledger_starved(pid_t pid);
void ledger_sleep(int64_t nanoseconds);
/* Waits until *flag is not 0, for at most LONG. */
void ledger_until(struct ledger *ledger, const volatile int *flag, const char *what);
/* Waits until the partner sleeps in a call that does not end by itself soon, for at most LONG. */
void ledger_until_asleep(struct ledger *ledger);
/* fork(); the child dies with its parent. */
pid_t ledger_fork(struct ledger *ledger);
/* Waits for a child that must have ended with status 0. */
void ledger_join(struct ledger *ledger, pid_t pid, const char *who);
/* Kills it and waits; when it was gone. */
int64_t ledger_kill(pid_t pid);
/* Names in /dev/shm that contain `part`. */
int ledger_names(const char *part);
/* Whether the long form was asked for: the environment variable TONG_TORTURE says "long". */
bool ledger_is_long(void);
/* The closing line of a suite, which scripts/tally.py adds up. */
void ledger_count(uint64_t stepped, uint64_t survived, uint64_t injected);
tong_channel *ledger_open(struct ledger *ledger, const char *address, uint32_t flags);

#endif
