/* SPDX-License-Identifier: MIT */
/*
 * layout.h - the frozen layouts of a ring in shared memory, read by the rings and by whoever looks at them.
 *
 * A channel is two mapped segments.  The senders' segment holds a control area and the bytes of the ring; only
 * senders write it.  The receivers' segment is a control area alone; only receivers write it.  Each side maps
 * the other's read-only, so that no slip of a receiver can damage a message.  doc/layout.md has the picture.
 *
 * Rules for every word here:
 *   - it has one writer at a time: the process that holds the place (by its lock) to which the word belongs;
 *   - who reads a word of the other side reads it once, into private memory, and checks it before using it;
 *   - words of different writers never share a line of LAYOUT_LINE bytes (two 64-byte lines, which adjacent-line
 *     prefetchers fetch together);
 *   - what is called zero is zero, and stays so until a feature bit in the header gives it a meaning.
 *
 * Nothing here knows of files, locks or futexes.
 */
#ifndef BASE_LAYOUT_H
#define BASE_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_MAGIC "TONGRING" /* 8 bytes, no NUL */
#define LAYOUT_VERSION 1
#define LAYOUT_BYTE_ORDER UINT32_C(0x01020304)
#define LAYOUT_FEATURES UINT32_C(0) /* bits that this build understands; any other is refused */
#define LAYOUT_LINE 128
#define LAYOUT_PLACES 16 /* rows in each table of participants, whatever the header allows to be used */
#define LAYOUT_CAPACITY_LOW (UINT64_C(1) << 12)
#define LAYOUT_CAPACITY_HIGH (UINT64_C(1) << 30) /* below 2^31: cursors' low halves tell all states apart */

enum { LAYOUT_KIND_SENDERS = 1, LAYOUT_KIND_RECEIVERS = 2 };

/* Written by the maker before the segment has a name, and never again. */
struct layout_header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;  /* LAYOUT_BYTE_ORDER as the maker's processor stores it */
    uint32_t word_size;   /* sizeof(void *): 32-bit and 64-bit processes do not share a ring */
    uint32_t kind;        /* LAYOUT_KIND_... */
    uint64_t id;          /* random, the same in both segments: they belong together */
    uint64_t file_size;   /* of this segment */
    uint64_t capacity;    /* bytes of the ring: a power of two */
    uint64_t data_offset; /* of the ring's first byte in the senders' segment; 0 in the receivers' */
    uint32_t places;      /* rows of the table in use: 1 until a feature says otherwise */
    uint32_t place_size;  /* sizeof(struct layout_place) */
    uint32_t features;
    uint32_t deliver;     /* 0: each message to one receiver */
    uint8_t zero[56];
};

/*
 * One participant.  All words are written by the holder of the place only.
 *
 * session   number << 2 | state.  Stored seq_cst, after pid and start_time, before the holder looks at the other's
 *           sleeping and bell, and loaded seq_cst after the other stored its bell: who loads it sees the identity
 *           that belongs to it, and no beginning or end falls between asking for the bell and the look (Dekker).
 * sleeping  odd while the holder sleeps on the other side's cursor; every sleep has its own number, so that a
 *           publisher wakes each sleep once.  Stored seq_cst before the holder looks at the cursor again, loaded
 *           seq_cst after the publisher stored the cursor: one of the two sees the other (Dekker).
 * bell      odd once the holder wants its bell rung; every emptying of the bell has its own number.  Same
 *           ordering as sleeping.
 * intent    receivers: end of the last message handed out.  What lies between the cursor and here when a new
 *           receiver comes was in the hands of one that is gone.  Release, though only ordering against the
 *           holder's own death matters.
 * told      receivers: the newest session of a sender whose end a receiver was told.  Release; read by successors.
 */
struct layout_place {
    _Alignas(LAYOUT_LINE) _Atomic uint64_t session;
    _Atomic uint64_t pid;
    _Atomic uint64_t start_time; /* clock ticks after boot; 0: unknown */
    _Atomic uint64_t uid;
    _Atomic uint64_t pid_namespace; /* in which pid is a number, by its inode; 0: unknown */
    _Alignas(LAYOUT_LINE) _Atomic uint32_t sleeping;
    _Atomic uint32_t bell;
    _Atomic uint64_t wake_at; /* zero: later, the cursor that is worth waking for */
    _Alignas(LAYOUT_LINE) _Atomic uint64_t intent;
    _Atomic uint64_t cursor; /* zero: later, a broadcast receiver's own */
    _Atomic uint64_t told;
    _Alignas(LAYOUT_LINE) uint8_t zero[LAYOUT_LINE];
};

enum { SESSION_NONE = 0, SESSION_OPEN = 1, SESSION_CLOSED = 2 };

static inline uint64_t session_word(uint64_t number, unsigned state)
{
    return number << 2 | state;
}

static inline uint64_t session_number(uint64_t word)
{
    return word >> 2;
}

static inline unsigned session_state(uint64_t word)
{
    return word & 3;
}

/*
 * cursor   senders: the tail, bytes ever published; receivers: the head, bytes ever released.  They only grow.
 *          Stored seq_cst (which releases the bytes before it, and takes part in the Dekker above), loaded with
 *          acquire or seq_cst.  Its low half is the futex that the other side sleeps on.
 * claim    zero: later, one atomic that carries the claimant, when several share the side.
 */
struct layout_control {
    struct layout_header header;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t cursor;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t claim;
    _Alignas(LAYOUT_LINE) uint8_t zero[4096 - 3 * LAYOUT_LINE];
    struct layout_place places[LAYOUT_PLACES];
};

/*
 * A record starts at a multiple of 8 and may wrap; its head word, and each word after it, never does.
 *
 *     word 0: bits 0-31 length, 32-39 kind, 40-47 place of the sender, 48-63 zero
 *     word 1: type            (messages only)
 *     then `length` bytes of message, up to the next multiple of 8
 *
 * RECORD_SKIP   `length` bytes, head included, mean nothing: room that was reserved and given back
 * RECORD_END    8 bytes: the session whose number's low half is `length` ended in order here
 * RECORD_DIED   8 bytes: that session's sender died; its successor says so
 * RECORD_LOST   8 bytes: the sender gave up `length` messages here, because there was no room and full=drop
 */
enum { RECORD_MESSAGE = 1, RECORD_SKIP = 2, RECORD_END = 3, RECORD_DIED = 4, RECORD_LOST = 5 };

#define RECORD_ALIGN UINT64_C(8)
#define RECORD_HEAD UINT64_C(16)
#define RECORD_MARK UINT64_C(8) /* always left free by messages, so that the end of a session finds room */

static inline uint64_t record_word(uint64_t length, unsigned kind)
{
    return (length & UINT32_MAX) | (uint64_t)kind << 32;
}

static inline uint64_t record_length(uint64_t word)
{
    return word & UINT32_MAX;
}

/* Kind, place and zero at once, so that a word with anything unknown in it equals no kind. */
static inline uint64_t record_kind(uint64_t word)
{
    return word >> 32;
}

/* Bytes that a message of `size` bytes takes in the ring. */
static inline uint64_t record_extent(uint64_t size)
{
    return RECORD_HEAD + ((size + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1));
}

/* The largest message of a ring: with room for a mark of losses before it and one of the end behind it. */
static inline uint64_t record_largest(uint64_t capacity)
{
    return capacity - RECORD_HEAD - 2 * RECORD_MARK;
}

_Static_assert(sizeof(struct layout_header) == LAYOUT_LINE, "the header is one line");
_Static_assert(sizeof(struct layout_place) == 4 * LAYOUT_LINE, "a place is four lines");
_Static_assert(offsetof(struct layout_control, cursor) == LAYOUT_LINE, "frozen");
_Static_assert(offsetof(struct layout_control, claim) == 2 * LAYOUT_LINE, "frozen");
_Static_assert(offsetof(struct layout_control, places) == 4096, "frozen");
_Static_assert(sizeof(struct layout_control) == 12288, "frozen");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "atomics carry no lock");

/* The size of a segment of this kind. */
uint64_t layout_size(uint32_t kind, uint64_t capacity);

/* Fills in the header of a new segment. */
void layout_prepare(struct layout_header *header, uint32_t kind, uint64_t id, uint64_t capacity);

/* Whether a private copy of the first bytes of a file is a tong segment's header at all. */
_Bool layout_is_ours(const struct layout_header *copy);

/* Why a segment of `file_size` bytes with this header (a private copy) cannot be used here, in words; NULL: it can. */
const char *layout_refusal(const struct layout_header *copy, uint32_t kind, uint64_t file_size);

/* Whether a tail and a head, read from two segments, can be those of one ring. */
_Bool layout_cursors_agree(uint64_t tail, uint64_t head, uint64_t capacity);

#endif
