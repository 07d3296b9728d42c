/* SPDX-License-Identifier: MIT */
/*
 * shared.h - every access to a word that another process may change, one small function each.
 *
 * The rings touch shared words through these and through nothing else, so that a model checker, which puts its own atomics
 * in their place (test/model), names what it saw after them and weakens them one by one.  Which orders are enough, and why:
 *
 * Records.  Word 0 of a record is the turn.  The sender writes the message, the zero behind it, and with release word 0;
 * the receiver acquires word 0 where it stands.  So who sees it not zero sees the message and the zero behind it, and
 * finds at the end of the message a word that is zero until the next one is published.  Several records are published by
 * the first of them alone: the words of the others may be stored before, because nobody comes to them but past it.
 *
 * Room.  The receiver releases the head after its last read; the sender acquires it before it writes there again.
 *
 * The tail is not on the way of a message.  It is stored with release behind the records that it covers, for who comes
 * after a sender that is gone, and for who looks from outside; both go on from it to the first word of zero.
 *
 * Sleeping.  One who is about to sleep raises `calls`, then looks once more.  One who published looks at `calls`.  This is
 * the store buffer of Dekker: both stores must be in memory before both loads.  A full fence after every publication
 * would cost the sender more than the message does, because it waits for the line that the receiver polls.  So the
 * sleeper pays for both: membarrier(2) makes every processor that runs one of us pass a full fence between the sleeper's
 * store and its look.  Whoever published before that fence is seen by the look; who publishes after it sees `calls`.  The
 * publisher needs no more than that the compiler keeps its store before its load (shared_light_fence).  A process that
 * cannot register for that fences by itself (`fences`), and one that cannot ask for it sleeps a millisecond at a time.
 *
 * `wake` is read before the look and is what the futex compares: it is raised after `calls` was seen, so a sleep that
 * begins after that ends at once.
 */
#ifndef RING_SHARED_H
#define RING_SHARED_H

#include <stdbool.h>

#include "base/layout.h"

/* ---- Words of records ------------------------------------------------------------------------------------ */

static inline _Atomic uint64_t *shared_word(const unsigned char *at)
{
    return (_Atomic uint64_t *)(uintptr_t)at;
}

static inline uint64_t shared_turn(const unsigned char *at)
{
    return atomic_load_explicit(shared_word(at), memory_order_acquire);
}

static inline uint64_t shared_get(const unsigned char *at)
{
    return atomic_load_explicit(shared_word(at), memory_order_relaxed);
}

static inline void shared_put(unsigned char *at, uint64_t word)
{
    atomic_store_explicit(shared_word(at), word, memory_order_relaxed);
}

static inline void shared_publish(unsigned char *at, uint64_t word)
{
    atomic_store_explicit(shared_word(at), word, memory_order_release);
}

/* ---- Cursors --------------------------------------------------------------------------------------------- */

static inline uint64_t shared_tail(const struct layout_place *lane)
{
    return atomic_load_explicit(&lane->tail, memory_order_acquire);
}

static inline void shared_set_tail(struct layout_place *lane, uint64_t tail)
{
    atomic_store_explicit(&lane->tail, tail, memory_order_release);
}

static inline uint64_t shared_head(const struct layout_cursor *cursor)
{
    return atomic_load_explicit(&cursor->head, memory_order_acquire);
}

static inline void shared_set_head(struct layout_cursor *cursor, uint64_t head)
{
    atomic_store_explicit(&cursor->head, head, memory_order_release);
}

static inline uint64_t shared_intent(const struct layout_cursor *cursor)
{
    return atomic_load_explicit(&cursor->intent, memory_order_acquire);
}

static inline void shared_set_intent(struct layout_cursor *cursor, uint64_t intent)
{
    atomic_store_explicit(&cursor->intent, intent, memory_order_release);
}

static inline uint64_t shared_told(const struct layout_cursor *cursor)
{
    return atomic_load_explicit(&cursor->told, memory_order_acquire);
}

static inline void shared_set_told(struct layout_cursor *cursor, uint64_t told)
{
    atomic_store_explicit(&cursor->told, told, memory_order_release);
}

/* ---- Logs: the lanes of a broadcast (ring/broadcast.h argues the orders) ----------------------------------- */

/* The fence orders it before the stores that overwrite what lies below: who reads one of those, passes an acquire fence and
 * looks at the floor sees this one. */
static inline void shared_set_floor(struct layout_place *lane, uint64_t floor)
{
    atomic_store_explicit(&lane->floor, floor, memory_order_release);
    atomic_thread_fence(memory_order_release);
}

/* acquire: the mark that is looked at after it is at least as new. */
static inline uint64_t shared_floor(const struct layout_place *lane)
{
    return atomic_load_explicit(&lane->floor, memory_order_acquire);
}

/* After a copy: the fence keeps the loads of the copy before it. */
static inline uint64_t shared_floor_after(const struct layout_place *lane)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&lane->floor, memory_order_relaxed);
}

/* release: who sees it sees the index. */
static inline void shared_set_mark(struct layout_place *lane, uint64_t mark)
{
    atomic_store_explicit(&lane->mark, mark, memory_order_release);
}

static inline uint64_t shared_mark(const struct layout_place *lane)
{
    return atomic_load_explicit(&lane->mark, memory_order_acquire);
}

/* The number first: a count whose position is that of the head is whole. */
static inline void shared_set_count(struct layout_count *count, uint64_t position, uint64_t number)
{
    atomic_store_explicit(&count->number, number, memory_order_release);
    atomic_store_explicit(&count->position, position, memory_order_release);
}

static inline uint64_t shared_count_position(const struct layout_count *count)
{
    return atomic_load_explicit(&count->position, memory_order_acquire);
}

static inline uint64_t shared_count_number(const struct layout_count *count)
{
    return atomic_load_explicit(&count->number, memory_order_relaxed);
}

/* ---- Several receivers (the orders are argued in ring/queue.c) --------------------------------------------- */

static inline uint64_t shared_claim(const struct layout_cursor *cursor)
{
    return atomic_load_explicit(&cursor->claim, memory_order_acquire);
}

static inline bool shared_try_claim(struct layout_cursor *cursor, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&cursor->claim, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

/* Words that several raise never fall. */
static inline void shared_raise(_Atomic uint64_t *word, uint64_t to)
{
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while ((int64_t)(to - seen) > 0 &&
           !atomic_compare_exchange_weak_explicit(word, &seen, to, memory_order_acq_rel, memory_order_relaxed))
        ;
}

static inline void shared_raise_head(struct layout_cursor *cursor, uint64_t head)
{
    shared_raise(&cursor->head, head);
}

static inline void shared_raise_told(struct layout_cursor *cursor, uint64_t told)
{
    shared_raise(&cursor->told, told);
}

static inline uint64_t shared_died(const struct layout_cursor *cursor)
{
    return atomic_load_explicit(&cursor->died, memory_order_acquire);
}

static inline void shared_raise_died(struct layout_cursor *cursor, uint64_t died)
{
    shared_raise(&cursor->died, died);
}

/* The fence for who reads it a second time, behind a look at holds. */
static inline uint64_t shared_moved(const struct layout_cursor *cursor)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&cursor->moved, memory_order_acquire);
}

static inline void shared_move(struct layout_cursor *cursor)
{
    atomic_fetch_add_explicit(&cursor->moved, 1, memory_order_acq_rel);
}

static inline uint64_t shared_reach(const struct layout_place *seat)
{
    return atomic_load_explicit(&seat->reach, memory_order_acquire);
}

static inline void shared_set_reach(struct layout_place *own, uint64_t reach)
{
    atomic_store_explicit(&own->reach, reach, memory_order_release);
}

static inline uint64_t shared_hold_start(const struct layout_hold *hold)
{
    return atomic_load_explicit(&hold->start, memory_order_acquire);
}

static inline uint64_t shared_hold_what(const struct layout_hold *hold)
{
    return atomic_load_explicit(&hold->what, memory_order_acquire);
}

/* The start before `what` says that it counts. */
static inline void shared_hold(struct layout_hold *own, uint64_t start, uint64_t what)
{
    atomic_store_explicit(&own->start, start, memory_order_release);
    atomic_store_explicit(&own->what, what, memory_order_release);
}

/* What it was. */
static inline uint64_t shared_rewrite_hold(struct layout_hold *hold, uint64_t what)
{
    return atomic_exchange_explicit(&hold->what, what, memory_order_acq_rel);
}

/* False: it is no longer what was seen. */
static inline bool shared_want_hold(struct layout_hold *hold, uint64_t seen)
{
    return atomic_compare_exchange_strong_explicit(&hold->what, &seen, seen | HOLD_WANTED, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* ---- Being told ------------------------------------------------------------------------------------------ */

/* Between a publication and the look at `calls`. */
static inline void shared_light_fence(bool fences)
{
    if (__builtin_expect(fences, 0))
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
}

static inline uint64_t shared_calls(const struct layout_control *waiters)
{
    return atomic_load_explicit(&waiters->calls, memory_order_relaxed);
}

/* seq_cst: it stands before the heavy fence and the look that follow, after the bell that it tells of. */
static inline void shared_call(struct layout_control *own, uint64_t what)
{
    atomic_fetch_add_explicit(&own->calls, what, memory_order_seq_cst);
}

/* acquire: what is looked at after it is at least as new. */
static inline uint32_t shared_wake(const struct layout_control *tellers)
{
    return atomic_load_explicit(&tellers->wake, memory_order_acquire);
}

/* release: who sees it sees what was published. */
static inline void shared_raise_wake(struct layout_control *own)
{
    atomic_fetch_add_explicit(&own->wake, 1, memory_order_release);
}

/* acquire: after a rise of `calls` was seen, the bell that it was raised for is. */
static inline uint32_t shared_bell(const struct layout_place *waiter)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&waiter->bell, memory_order_acquire);
}

static inline void shared_set_bell(struct layout_place *own, uint32_t turn)
{
    atomic_store_explicit(&own->bell, turn, memory_order_seq_cst);
}

/* ---- Places ---------------------------------------------------------------------------------------------- */

/* seq_cst, like its store: a beginning or an end takes part in the order above as a publication does. */
static inline uint64_t shared_session(const struct layout_place *place)
{
    return atomic_load_explicit(&place->session, memory_order_seq_cst);
}

static inline void shared_set_session(struct layout_place *place, uint64_t session)
{
    atomic_store_explicit(&place->session, session, memory_order_seq_cst);
}

/* Both stand before the session that they belong to; the name also behind the positions that it says are its owner's. */
static inline uint64_t shared_name(const struct layout_place *place)
{
    return atomic_load_explicit(&place->name, memory_order_acquire);
}

static inline void shared_set_name(struct layout_place *place, uint64_t name)
{
    atomic_store_explicit(&place->name, name, memory_order_release);
}

/* Nobody acts on it, so it has no order. */
static inline void shared_add_lost(struct layout_place *own, uint64_t messages)
{
    uint64_t lost = atomic_load_explicit(&own->lost, memory_order_relaxed);
    atomic_store_explicit(&own->lost, lost + messages, memory_order_relaxed);
}

static inline uint64_t shared_slow(const struct layout_place *place)
{
    return atomic_load_explicit(&place->slow, memory_order_relaxed);
}

static inline void shared_set_slow(struct layout_place *place, uint64_t slow)
{
    atomic_store_explicit(&place->slow, slow, memory_order_release);
}

/* acquire: the lane was mended before. */
static inline uint64_t shared_boot(const struct layout_place *place)
{
    return atomic_load_explicit(&place->boot, memory_order_acquire);
}

static inline void shared_set_boot(struct layout_place *own, uint64_t boot)
{
    atomic_store_explicit(&own->boot, boot, memory_order_release);
}

/* acquire, and loaded before `cut`, which was stored before: a new `since` never meets an old `cut`. */
static inline uint64_t shared_since(const struct layout_place *place)
{
    return atomic_load_explicit(&place->since, memory_order_acquire);
}

static inline uint64_t shared_cut(const struct layout_place *place)
{
    return atomic_load_explicit(&place->cut, memory_order_acquire);
}

/* release, in this order: the kernel may write the line to the disk in between, and a new `cut` with an old `since` refuses
 * nothing that is whole. */
static inline void shared_set_cut(struct layout_place *own, uint64_t cut, uint64_t since)
{
    atomic_store_explicit(&own->cut, cut, memory_order_release);
    atomic_store_explicit(&own->since, since, memory_order_release);
}

/* Never cleared, so a reader that misses a rise misses one that is told to it afterwards. */
static inline uint64_t shared_used(const struct layout_control *control)
{
    return atomic_load_explicit(&control->used, memory_order_acquire);
}

static inline void shared_use(struct layout_control *own, unsigned place)
{
    atomic_fetch_or_explicit(&own->used, UINT64_C(1) << place, memory_order_release);
}

#endif
