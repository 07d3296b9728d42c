/* SPDX-License-Identifier: MIT */
/*
 * tong/base.h - what every part of libtong shares: results, times, directions, identities.
 *
 * Results.  Every function that can fail returns 0 or a count when it succeeds and a negative errno value
 * when it does not (-EAGAIN, never EAGAIN with errno).  errno itself is neither read nor promised.  `ret`
 * parameters come last and are left untouched on failure.  tong_detail() gives the last failure in words.
 *
 * Times.  Every timeout is a relative int64_t number of nanoseconds: 0 never blocks (-EAGAIN instead),
 * TONG_FOREVER waits without end, anything else ends in -ETIMEDOUT.  A timeout is turned into a deadline on
 * CLOCK_MONOTONIC once, when the call begins, so setting the clock does not disturb it.
 *
 * Structures.  Every option and result structure starts with `size`, which the caller sets to sizeof of the
 * structure it was compiled with (the TONG_..._INIT macros do).  A newer library fills in no more than that.
 *
 * The library never prints, exits, starts a thread, or changes the flags of a descriptor that others share; nor does it
 * touch signal handlers or the signal mask, but in tong_guard_sigbus() and the calls of tong/signal.h, which are for just that.  SIGPIPE is never raised by it, provided that a process which
 * ignored SIGPIPE when it opened a channel goes on ignoring it while it uses the channel.
 */
#ifndef TONG_BASE_H
#define TONG_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define TONG_VERSION_MAJOR 0
#define TONG_VERSION_MINOR 1
#define TONG_VERSION_PATCH 0

/* The version of the library that is running, "0.1.0".  Static storage. */
const char *tong_version(void);

/*
 * The calling thread's last failure in words: which call, on what, why, and what to do next, on one line
 * without a newline; "" when nothing has failed in this thread yet.  Valid until this thread's next call into
 * libtong.  Never NULL, never blocks.  Not async-signal-safe.
 */
const char *tong_detail(void);

#define TONG_FOREVER INT64_C(-1)            /* wait without end */
#define TONG_UNKNOWN UINT64_MAX             /* a figure that nobody knows */
#define TONG_MICROSECOND INT64_C(1000)
#define TONG_MILLISECOND INT64_C(1000000)
#define TONG_SECOND INT64_C(1000000000)

/* Directions, and the flags that opening takes beside them. */
#define TONG_RECEIVE UINT32_C(0x1)
#define TONG_SEND UINT32_C(0x2)
#define TONG_BOTH (TONG_RECEIVE | TONG_SEND)
/*
 * Blocking calls of this channel or listener can be ended by tong_channel_cancel() or
 * tong_listener_cancel().  Where the kernel does the waiting this costs one poll(2) and one more try each
 * time a call really has to sleep, and nothing when it does not; without the flag a call that waits for ever
 * is one bare blocking system call.
 */
#define TONG_CANCELLABLE UINT32_C(0x4)

#define TONG_INFO_CREATED UINT32_C(0x10)  /* in the flags of what describes an object: this open made it */

/* Where an identity comes from, and so what it is worth. */
enum {
    TONG_IDENTITY_NONE = 0,       /* the mechanism does not know who sent */
    TONG_IDENTITY_MESSAGE = 1,    /* the kernel vouches for the sender of this very message (SCM_CREDENTIALS) */
    TONG_IDENTITY_CONNECTION = 2, /* the kernel vouches for who made the other end (SO_PEERCRED) */
    TONG_IDENTITY_LAST = 3,       /* the last process that sent on the object; racy with several senders */
    TONG_IDENTITY_CLAIMED = 4     /* the sender says so; it can be forged */
};

/* Who a process is.  A pid travels with its start time, because pids are used again. */
typedef struct tong_identity {
    uint32_t size;       /* sizeof(tong_identity) */
    uint32_t source;     /* TONG_IDENTITY_... */
    int64_t pid;         /* in the reader's pid namespace; 0: not visible from here */
    uint64_t start_time; /* clock ticks after boot (proc(5), stat field 22); 0: unknown */
    uint32_t uid;        /* effective; UINT32_MAX: unknown */
    uint32_t gid;        /* effective; UINT32_MAX: unknown */
} tong_identity;

#define TONG_IDENTITY_INIT { sizeof(tong_identity), TONG_IDENTITY_NONE, 0, 0, UINT32_MAX, UINT32_MAX }

/*
 * Whether that very process (pid and start time, so never a later one with the same number) still runs.
 * Returns 1 if it does, 0 if it is gone or a zombie, -ENODATA if the identity does not name a process.
 * Reads /proc; does not block; any thread.
 */
int tong_identity_alive(const tong_identity *identity);

/*
 * Guards the channels of `shm:` and `mmap:` of this process, those that are open and those to come, against a peer that
 * cuts their file short: touching what is gone raises SIGBUS (mmap(2)), which without this ends the process, as it does
 * for every program that maps a file which others may write.  Installs a handler of SIGBUS that lays zero pages over the
 * mapping; the call that met them, or the next, then fails with -ESTALE, and so do all that follow on that channel.  What
 * was in the channel is lost; a message that is peeked at becomes zeros.
 *
 * Every other SIGBUS, also of memory of the caller's own and of regions, goes to the handler that was there before, or has
 * its default.  Who installs a handler later should pass on to this one what is not its own.  Asked again it does nothing
 * more; there is no way back.  0, or what sigaction(2) says.  Any thread; a forked child has it, an executed program not.
 */
int tong_guard_sigbus(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
