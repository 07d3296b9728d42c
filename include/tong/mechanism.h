/* SPDX-License-Identifier: MIT */
/*
 * tong/mechanism.h - what this library can do, told by itself: the mechanisms, what each offers, its options
 * and the limits in force on this machine.  `tong explain` prints it.  Strings are
 * static, but for an option's values and fallback.
 */
#ifndef TONG_MECHANISM_H
#define TONG_MECHANISM_H

#include <tong/base.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Nouns and abilities, computed from the functions that a mechanism fills in, so that none can be claimed. */
#define TONG_HAS_CHANNEL UINT32_C(0x1)
#define TONG_HAS_LISTENER UINT32_C(0x2)
#define TONG_HAS_PAIR UINT32_C(0x4)
#define TONG_HAS_REMOVE UINT32_C(0x8)
#define TONG_HAS_ZERO_COPY UINT32_C(0x10)
#define TONG_HAS_SELECT UINT32_C(0x20)
#define TONG_HAS_READINESS UINT32_C(0x40)
#define TONG_HAS_FINISH UINT32_C(0x80)
#define TONG_HAS_PEER UINT32_C(0x100)
#define TONG_HAS_DESCRIPTOR UINT32_C(0x200)
#define TONG_HAS_AFTER_FORK UINT32_C(0x400)
#define TONG_HAS_TWO_WAY UINT32_C(0x800)      /* one object serves both directions */
#define TONG_HAS_TWO_WAY_PAIR UINT32_C(0x1000)/* both directions need two objects, which one address can name */
#define TONG_HAS_MANY_SENDERS UINT32_C(0x2000)
#define TONG_HAS_MANY_RECEIVERS UINT32_C(0x4000)
#define TONG_HAS_REGION UINT32_C(0x8000)
#define TONG_HAS_SEMAPHORE UINT32_C(0x10000)
#define TONG_HAS_LOCK UINT32_C(0x20000)
#define TONG_MAY_LOSE UINT32_C(0x40000)       /* messages may be lost: counted, if numbered */
#define TONG_HAS_SYNC UINT32_C(0x80000)       /* tong_channel_sync() */

/* One mechanism, or one variant of it (unix: stream, seqpacket and datagram are three). */
typedef struct tong_mechanism_info {
    uint32_t size;           /* sizeof(tong_mechanism_info) */
    uint32_t offers;         /* TONG_HAS_... */
    uint32_t identity;       /* TONG_IDENTITY_...: the best it can say of a sender */
    uint32_t reserved;
    const char *scheme;      /* "unix" */
    const char *variant;     /* "socket=seqpacket", or "" */
    const char *form;        /* how its addresses look: "unix:PATH, unix:@NAME" */
    const char *summary;     /* one line */
    const char *medium;      /* file, memory, file and memory, socket */
    const char *unit;        /* bytes, message, page, number */
    const char *reach;       /* related processes, one machine, network */
    const char *order;       /* who synchronises sender and receiver, and how a wait is spent */
    const char *lifetime;    /* how long the object lives */
    const char *family;      /* System V, POSIX, BSD ... and the systems that have it */
} tong_mechanism_info;

#define TONG_MECHANISM_INFO_INIT \
    { sizeof(tong_mechanism_info), 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/* The index-th mechanism or variant, from 0; -ENOENT past the last. */
int tong_mechanism_describe(size_t index, tong_mechanism_info *ret);

/* One option of a mechanism's addresses.  values and fallback hold until this thread asks for another. */
typedef struct tong_option_info {
    uint32_t size;        /* sizeof(tong_option_info) */
    uint32_t noun;        /* what takes it: TONG_HAS_CHANNEL (and listeners), _REGION, _SEMAPHORE or _LOCK */
    const char *name;     /* "frame" */
    const char *values;   /* "packet|line|none", "bytes", "duration" ... */
    const char *fallback; /* what holds when it is not given */
    const char *help;     /* one line */
} tong_option_info;

#define TONG_OPTION_INFO_INIT { sizeof(tong_option_info), 0, NULL, NULL, NULL, NULL }

/* The index-th option of `scheme`, noun by noun; -ENOENT past the last, -EPROTONOSUPPORT for an unknown scheme. */
int tong_mechanism_option(const char *scheme, size_t index, tong_option_info *ret);

/* One limit in force on this machine, read when asked. */
typedef struct tong_limit_info {
    uint32_t size;        /* sizeof(tong_limit_info) */
    uint32_t reserved;
    uint64_t value;       /* TONG_UNKNOWN (UINT64_MAX) when this machine does not say */
    const char *name;     /* "largest message" */
    const char *unit;     /* "bytes" */
    const char *source;   /* "kernel.msgmax", "PIPE_BUF" */
} tong_limit_info;

#define TONG_LIMIT_INFO_INIT { sizeof(tong_limit_info), 0, 0, NULL, NULL, NULL }

/* The index-th limit of `scheme`; -ENOENT past the last, -EPROTONOSUPPORT for an unknown scheme. */
int tong_mechanism_limit(const char *scheme, size_t index, tong_limit_info *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
