/* SPDX-License-Identifier: MIT */
/*
 * layout.h - the frozen layouts of a channel in shared memory, read by the rings and by whoever looks at them.
 *
 * A channel is two mapped segments.  The senders' segment holds a control area and a lane for each sender: a ring of
 * bytes that only its sender writes.  The receivers' segment is a control area, the receivers' cursors and their seats; only
 * receivers write it.  Each side maps the other's read-only, but for the page of `wake` where futex(2) is quicker so, so that
 * no slip of a receiver can damage a message.  doc/layout.md has the picture.
 *
 * Rules for every word here:
 *   - it has one writer at a time: the process that holds the place (by its lock) to which the word belongs; the three
 *     words of a control area (wake, calls, used) have many, who all change them by one atomic addition or bitwise or, and
 *     so have the cursors of a queue, by compare and swap;
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
#define LAYOUT_VERSION 4
#define LAYOUT_BYTE_ORDER UINT32_C(0x01020304)
#define LAYOUT_DURABLE UINT32_C(1) /* feature: every record has a check, and room is given once the disk knows of it */
#define LAYOUT_FEATURES LAYOUT_DURABLE /* bits that this build understands; any other is refused */
#define LAYOUT_LINE 128
#define LAYOUT_PLACES 16 /* participants of a side; the sender in place n has lane n, the receiver in it seat n */
#define LAYOUT_EVERY_PLACE ((UINT64_C(1) << LAYOUT_PLACES) - 1) /* bits of `used` */
#define LAYOUT_HOLDS 64  /* messages that one of many receivers may have in hand */
#define LAYOUT_CAPACITY_LOW (UINT64_C(1) << 12)
#define LAYOUT_CAPACITY_HIGH (UINT64_C(1) << 30)
#define LAYOUT_LANES_AT UINT64_C(65536) /* a multiple of every page size, so that a lane can be mapped alone */

enum { LAYOUT_KIND_SENDERS = 1, LAYOUT_KIND_RECEIVERS = 2 };

/* To whom a message goes: to the one receiver that may be there, to one of many, to every one. */
enum { LAYOUT_ONE = 0, LAYOUT_QUEUE = 1, LAYOUT_BROADCAST = 2 };

/* Written by the maker before the segment has a name, and never again. */
struct layout_header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;  /* LAYOUT_BYTE_ORDER as the maker's processor stores it */
    uint32_t word_size;   /* sizeof(void *): 32-bit and 64-bit processes do not share a ring */
    uint32_t kind;        /* LAYOUT_KIND_... */
    uint64_t id;          /* random, the same in both segments: they belong together */
    uint64_t file_size;   /* of this segment */
    uint64_t capacity;    /* bytes of a lane: a power of two */
    uint64_t data_offset; /* of the first lane in the senders' segment; of the cursors in the receivers' */
    uint32_t places;      /* LAYOUT_PLACES */
    uint32_t place_size;  /* sizeof(struct layout_place) */
    uint32_t features;
    uint32_t deliver;     /* LAYOUT_ONE, LAYOUT_QUEUE or LAYOUT_BROADCAST */
    uint32_t receivers;   /* that may be there at once: places of that side in use */
    uint8_t zero[52];
};

/*
 * One participant.  All words are written by the holder of the place only.
 *
 * session   number << 2 | state.  Stored seq_cst, after pid and start_time and before the holder tells the other side,
 *           and loaded seq_cst: who loads it sees the identity that belongs to it, and no beginning or end falls
 *           between asking to be told and the look.
 * bell      odd once the holder wants its bell rung; every emptying of the bell has its own number.  Stored seq_cst
 *           before `calls` is raised, loaded by who saw `calls` rise.
 * name      receivers of a broadcast: what a receiver calls itself, up to 8 bytes, padded with zeros; 0: nothing.  It and
 *           `slow` are stored before the session is.
 * slow      receivers of a broadcast: 0: senders wait for it; else they do not, and it skips what it misses, or gives up.
 * tail      senders: bytes ever published in the lane.  Release, after the record; may be one publication behind, which
 *           ends where the first word of zero is.  Read by successors and by who looks, not by receivers.
 * floor     senders of a broadcast: where what is still whole begins.  It is 0 or where an index begins.  Release, before
 *           anything below it is overwritten.
 * mark      senders of a broadcast: where the newest index begins; 0: there is none.  Release, after it was published.
 * reach     receivers of a queue: how many holds of the seat were ever used, by whomever.  Stored before the first hold
 *           that it covers, and only grows, so who looks for holds looks no further.
 * lost      receivers: messages of which the holder was told, in this session, that they are lost.  For who looks only.
 *
 * Of a durable channel:
 * boot      names the file and the boot of the machine in which the holder began.  Senders: release, after the lane was
 *           mended; who acquires its own boot may read the lane as it is.  Receivers: read by successors.
 * cut       senders: where the holder began in its lane.  What lies behind it and is of a session before `since` is from
 *           before that, and was never received.  Release, `cut` before `since`, both on the disk before a record is.
 * since     senders: the low half of that session.
 */
struct layout_place {
    _Alignas(LAYOUT_LINE) _Atomic uint64_t session;
    _Atomic uint64_t pid;
    _Atomic uint64_t start_time; /* clock ticks after boot; 0: unknown */
    _Atomic uint64_t uid;
    _Atomic uint64_t pid_namespace; /* in which pid is a number, by its inode; 0: unknown */
    _Atomic uint64_t name;
    _Atomic uint64_t slow;
    _Atomic uint64_t reach;
    _Atomic uint64_t boot;
    _Atomic uint64_t cut;
    _Atomic uint64_t since;
    _Atomic uint64_t lost;
    _Alignas(LAYOUT_LINE) _Atomic uint32_t bell;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t tail;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t floor;
    _Atomic uint64_t mark;
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

/* How many messages of a lane lie before a position. */
struct layout_count {
    _Atomic uint64_t position;
    _Atomic uint64_t number;
};

/*
 * What the receiver, or with LAYOUT_QUEUE the receivers together, or with LAYOUT_BROADCAST one of them, have taken from
 * one lane.
 *
 * head      bytes ever released.  It only grows.  Release: the reads before it are done, so the sender, who acquires it,
 *           may write there again.
 * intent    end of what was handed out and not released, by the holder or by those before it: while it is ahead of the
 *           head it does not fall.  What lies between the head and here when a new receiver comes was in the hands of one
 *           that is gone.  Release, though only ordering against the holder's own death matters.
 * told      the newest session of the lane whose end a receiver was told; with LAYOUT_QUEUE, whose end is known.  Release;
 *           read by successors and by the other receivers.
 * died      LAYOUT_QUEUE: the newest session of the lane whose sender is known to have died.  Release, before told.
 * moved     LAYOUT_QUEUE: raised whenever a hold on the lane came to lie elsewhere, after the new one was written and
 *           before the old one is cleared: who looks for holds meanwhile may have missed it and looks again.
 * counts    LAYOUT_BROADCAST: the number of the next message.  The one that has the head as its position holds; the other
 *           one is written, number first, before the head moves, so whoever is killed leaves one that does.
 * claim     LAYOUT_QUEUE: bytes ever handed to one of the receivers.
 *
 * With LAYOUT_QUEUE all receivers write them, by compare and swap or addition; head, told, died and claim only grow.
 */
struct layout_cursor {
    _Alignas(LAYOUT_LINE) _Atomic uint64_t head;
    _Atomic uint64_t intent;
    _Atomic uint64_t told;
    _Atomic uint64_t died;
    _Atomic uint64_t moved;
    struct layout_count counts[2];
    _Alignas(LAYOUT_LINE) _Atomic uint64_t claim;
};

/*
 * LAYOUT_QUEUE: a stretch of a lane that a receiver has, or is about to have, in hand (ring/queue.c has the protocol).
 *
 * start     where it begins; of no meaning while `what` is 0.
 * what      0: free; else its bytes (bits 0-31), its lane (32-35), and HOLD_WANTED.
 *
 * The holder of the seat writes both; who recovers what one that is gone had clears them, with the lock of its place; and
 * whoever waits for the head to move over a hold adds HOLD_WANTED by compare and swap.
 */
struct layout_hold {
    _Atomic uint64_t start;
    _Atomic uint64_t what;
};

#define HOLD_WANTED (UINT64_C(1) << 63)

static inline uint64_t hold_word(uint64_t bytes, unsigned lane)
{
    return bytes | (uint64_t)lane << 32;
}

static inline uint64_t hold_bytes(uint64_t what)
{
    return what & UINT32_MAX;
}

static inline unsigned hold_lane(uint64_t what)
{
    return what >> 32 & (LAYOUT_PLACES - 1);
}

/* What one receiver among several has. */
struct layout_seat {
    struct layout_cursor positions[LAYOUT_PLACES]; /* of each lane, in a broadcast */
    _Alignas(LAYOUT_LINE) struct layout_hold holds[LAYOUT_HOLDS];
};

/*
 * The control area with which both segments begin.
 *
 * wake      futex that the other side sleeps on; raised by who of this side has something to tell to a sleeper.
 * calls     raised by who of this side wants to be told: the low half before it sleeps, the high half when it asks for
 *           its bell (CALL_...).  The other side compares it with the last value that it answered.
 * used      bit n: place n has been taken at least once.
 */
struct layout_control {
    struct layout_header header;
    _Alignas(LAYOUT_LINE) _Atomic uint32_t wake;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t calls;
    _Alignas(LAYOUT_LINE) _Atomic uint64_t used;
    _Alignas(LAYOUT_LINE) uint8_t zero[4096 - 4 * LAYOUT_LINE];
    struct layout_place places[LAYOUT_PLACES];
};

/* The receivers' segment; the senders' is a control area and, at LAYOUT_LANES_AT, the lanes. */
struct layout_receivers {
    struct layout_control control;
    struct layout_cursor cursors[LAYOUT_PLACES]; /* of each lane */
    struct layout_seat seats[LAYOUT_PLACES];     /* of each receiver, if there may be more than one */
};

#define CALL_WAKE UINT64_C(1)
#define CALL_BELL (UINT64_C(1) << 32)

/*
 * A record starts at a multiple of 8.  A lane is mapped twice in a row, so no record wraps.
 *
 *     word 0: bits 0-31 length, 32-39 kind, 40-47 offset, 48-63 zero
 *     RECORD_MESSAGE: the message begins `offset` words after word 0; word 1 is its type, which is 0 if offset is 1
 *
 * Word 0 is never 0, and it is stored last, with release; the word behind what was published is 0 until then.  So a
 * receiver needs no other word than the one where it stands.
 *
 * RECORD_SKIP   `length` bytes, head included, mean nothing: room that was reserved and given back
 * RECORD_END    8 bytes: the session whose number's low half is `length` ended in order here
 * RECORD_DIED   8 bytes: that session's sender died; its successor says so
 * RECORD_LOST   8 bytes: the sender gave up `length` messages here, because there was no room and full=drop
 * RECORD_INDEX  16 bytes, in a broadcast: word 1 is the number of the next message of the lane, counted from 0 since the
 *               lane began, those that its senders gave up among them; `length` is 0
 *
 * With LAYOUT_DURABLE all but a skip of less than RECORD_CHECKED bytes has an offset of RECORD_HEAD words or more, marks
 * are RECORD_CHECKED bytes, and
 *     word 2: bits 0-31 CRC-32C over the channel's id, the record's position, word 0, word 1, bits 32-63 of this word (the
 *             others 0), all as they lie in memory, and the message; bits 32-63 the low half of the session that wrote it
 * Word 1 of RECORD_DIED is 0, or after a stop of the machine one more than the bytes of the lane known to be lost by it.
 */
enum { RECORD_MESSAGE = 1, RECORD_SKIP = 2, RECORD_END = 3, RECORD_DIED = 4, RECORD_LOST = 5, RECORD_INDEX = 6 };

#define RECORD_ALIGN UINT64_C(8)
#define RECORD_MARK UINT64_C(8)     /* always left free by messages, so that the end of a session finds room */
#define RECORD_ZERO UINT64_C(8)     /* the word behind what was published */
#define RECORD_INDEX_SIZE UINT64_C(16)
#define RECORD_CHUNKS UINT64_C(16)  /* into which indexes cut the lane of a broadcast */
#define RECORD_BULK UINT64_C(4096)  /* messages from this size on begin at a multiple of RECORD_BULK_ALIGN */
#define RECORD_BULK_ALIGN UINT64_C(64)
#define RECORD_OFFSET_MOST (1 + 2 * RECORD_BULK_ALIGN / RECORD_ALIGN)

#define RECORD_HEAD UINT64_C(3)     /* words before a message with a check */
#define RECORD_CHECKED (RECORD_HEAD * RECORD_ALIGN)

static inline uint64_t record_word(uint64_t length, unsigned kind, uint64_t offset)
{
    return (length & UINT32_MAX) | (uint64_t)kind << 32 | offset << 40;
}

static inline uint64_t record_length(uint64_t word)
{
    return word & UINT32_MAX;
}

static inline unsigned record_kind(uint64_t word)
{
    return word >> 32 & 0xff;
}

/* With what must be zero, so that a word with anything unknown in it has an offset that is too large. */
static inline uint64_t record_offset(uint64_t word)
{
    return word >> 40;
}

static inline uint64_t record_rounded(uint64_t size)
{
    return (size + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
}

/* Words before a message in bulk, with room for a type, in a record that begins at `start`. */
static inline uint64_t record_bulk_offset(uint64_t start)
{
    return 2 + (-(start + 2 * RECORD_ALIGN) & (RECORD_BULK_ALIGN - 1)) / RECORD_ALIGN;
}

static inline uint64_t record_extent(uint64_t offset, uint64_t size)
{
    return offset * RECORD_ALIGN + record_rounded(size);
}

/* What must be free for a message of `size` bytes, wherever it begins: the most that its record may take, a mark of the
 * end behind it, and the word of zero. */
static inline uint64_t record_room(uint64_t size)
{
    return record_extent(size < RECORD_BULK ? 2 : RECORD_OFFSET_MOST, size) + RECORD_MARK + RECORD_ZERO;
}

/* The same of a message with a check. */
static inline uint64_t record_checked_offset(uint64_t start, uint64_t size)
{
    uint64_t to_line = -(start + RECORD_CHECKED) & (RECORD_BULK_ALIGN - 1);
    return RECORD_HEAD + (size < RECORD_BULK ? 0 : to_line / RECORD_ALIGN);
}

/* With room for a mark of losses before it, too. */
static inline uint64_t record_checked_room(uint64_t size)
{
    uint64_t most = RECORD_HEAD + (size < RECORD_BULK ? 0 : RECORD_BULK_ALIGN / RECORD_ALIGN - 1);
    return record_extent(most, size) + 2 * RECORD_CHECKED + RECORD_ZERO;
}

/* The largest message of a ring: with room for a mark of losses before it and one of the end behind it. */
static inline uint64_t record_largest(uint64_t capacity)
{
    return capacity - RECORD_OFFSET_MOST * RECORD_ALIGN - 2 * RECORD_MARK - RECORD_ZERO;
}

/* The same in a broadcast: with an index before it, and room for the next one behind it. */
static inline uint64_t record_largest_logged(uint64_t capacity)
{
    return record_largest(capacity) - 2 * RECORD_INDEX_SIZE - RECORD_MARK;
}

_Static_assert(sizeof(struct layout_header) == LAYOUT_LINE, "the header is one line");
_Static_assert(sizeof(struct layout_place) == 4 * LAYOUT_LINE, "a place is four lines");
_Static_assert(sizeof(struct layout_cursor) == 2 * LAYOUT_LINE, "a cursor is two lines");
_Static_assert(sizeof(struct layout_receivers) == 98304, "frozen");
_Static_assert(offsetof(struct layout_control, wake) == LAYOUT_LINE, "frozen");
_Static_assert(offsetof(struct layout_control, calls) == 2 * LAYOUT_LINE, "frozen");
_Static_assert(offsetof(struct layout_control, used) == 3 * LAYOUT_LINE, "frozen");
_Static_assert(offsetof(struct layout_control, places) == 4096, "frozen");
_Static_assert(sizeof(struct layout_control) == 12288, "frozen");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "atomics carry no lock");

/* The size of a segment of this kind, and of that part of it which is mapped whole. */
uint64_t layout_size(uint32_t kind, uint64_t capacity);
uint64_t layout_control_size(uint32_t kind);

/* How much of that is ever touched: nobody has a seat where there is one receiver. */
uint64_t layout_touched_size(const struct layout_header *header);

/* What both segments of a channel agree on. */
struct layout_shape {
    uint64_t id, capacity;
    uint32_t deliver, receivers, features;
};

/* Fills in the header of a new segment. */
void layout_prepare(struct layout_header *header, uint32_t kind, const struct layout_shape *shape);

/* What a header that was not refused says. */
struct layout_shape layout_shape_of(const struct layout_header *copy);

/* Whether a private copy of the first bytes of a file is a tong segment's header at all. */
_Bool layout_is_ours(const struct layout_header *copy);

/* Why a segment of `file_size` bytes with this header (a private copy) cannot be used here, in words; NULL: it can. */
const char *layout_refusal(const struct layout_header *copy, uint32_t kind, uint64_t file_size);

/* Whether a tail and a head, read from two segments, can be those of one lane: the tail may be one publication behind. */
_Bool layout_cursors_agree(uint64_t tail, uint64_t head, uint64_t capacity);

#endif
