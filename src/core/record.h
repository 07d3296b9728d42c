/* SPDX-License-Identifier: MIT */
/*
 * record.h - messages in a file, so that each is whole or absent after a crash.
 *
 * A file of records is records one after the other from byte 0, and nothing else: two such files put together
 * with cat make a third.  A record is a header of 32 bytes, little-endian, and its payload:
 *
 *     0  magic F7 't' 'n' 'g'    4  version 1    5  flags    6  zero (2 bytes)
 *     8  type, signed            16 length       20 CRC-32C of the payload
 *     24 zero                    28 CRC-32C of bytes 0 to 27
 *
 * F7 begins no text in ASCII or UTF-8.  What a dead writer leaves at the end of the file is the beginning of a
 * record (SIGKILL), or after a power loss a record of which some parts are zeros: a torn tail.  A header with a
 * right check sum but too little behind it, or the last record with a wrong payload, is torn; so is a wrong
 * header that begins as ours, or as ours and then zeros, if no header with a right check sum comes after it.
 * Anything else was written by somebody else, or damaged, and is never cut away.
 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_HEADER 32
#define RECORD_LARGEST (INT64_C(1) << 30)
#define RECORD_END 0x1 /* flag: a sender ended here in order; no payload */

struct record {
    int64_t type;
    uint32_t length, payload_crc;
    uint8_t flags;
};

void record_encode(const struct record *record, unsigned char ret[RECORD_HEADER]);

/* False if those bytes are no header of this version; the length is within RECORD_LARGEST. */
bool record_decode(const unsigned char bytes[RECORD_HEADER], struct record *ret);

/* Whether a file that begins with these bytes (fewer than 4 only if it has no more) may be one of records. */
bool record_begins(const unsigned char *bytes, size_t size);

/* What lies at an offset where a record begins. */
enum record_state {
    RECORD_WHOLE,   /* a record, payload and all */
    RECORD_TORN,    /* the torn tail, or a record that is just being written */
    RECORD_DAMAGED, /* a record with a wrong payload, and others behind it */
    RECORD_FOREIGN  /* no record */
};

/*
 * Looks at file[at..size), at < size; *ret_next is behind the record, if WHOLE or DAMAGED.  The answer is only
 * certain under a lock on the file.  Returns the state, or a negative errno from reading.
 */
int record_check(int fd, uint64_t at, uint64_t size, uint64_t *ret_next);

/*
 * Finds the end of the last whole record at or behind `from`, the beginning of a record or the end of the
 * file: what is behind it up to `size` is torn.  Goes from header to header and reads the payload of the last.
 * -EBADMSG without words if something foreign is in between; then *ret_end is where.
 */
int record_tail(int fd, uint64_t from, uint64_t size, uint64_t *ret_end);

/*
 * Which senders are there: each holds a shared lock on one byte that no file reaches, for as long as it may still
 * append.  record_attend() takes it (F_RDLCK) or lets it go (F_UNLCK) and never waits; record_attended() says
 * whether anybody but `fd` holds it, or a negative errno.
 */
int record_attend(int fd, short type);
int record_attended(int fd);

/* Locks the whole file (but not that byte) for F_RDLCK or F_WRLCK, or F_UNLCK, which never waits.  An OFD lock, fcntl(2): it
 * belongs to the open file description and goes with it, also by SIGKILL.  Waits as core/wait.h. */
int record_lock(int fd, short type, int cancel_fd, int64_t deadline);

#endif
