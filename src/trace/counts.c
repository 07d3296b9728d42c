/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has counted, and what of it had to make room there: a ledger with a row for each process, object and
 * direction.  Processes and sockets come and go, so that counts have to leave the kernel while others are added to.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "bpf/map.h"
#include "sys/sys.h"
#include "trace/state.h"

#define LEDGER_MOST (1u << 18)                 /* rows */
#define ROOM_LEFT (TRACE_COUNTS / 4)           /* counts in the kernel above which they are taken out */
#define STEPS_MOST (UINT32_C(4) * TRACE_COUNTS) /* of a walk, which begins anew where a row vanishes under it */
#define GRACE 20000000                         /* nanoseconds */

/* ---- The ledger ------------------------------------------------------------------------------------------------- */

static uint32_t hash(const struct trace_count_key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *key; i++)
        sum = (sum ^ bytes[i]) * 16777619u;
    return sum;
}

/* Where its number stands, or would. */
static uint32_t *find_place(const struct ledger *ledger, const struct trace_count_key *key)
{
    uint32_t at = hash(key) & (ledger->places - 1);
    while (ledger->place[at] && memcmp(&ledger->row[ledger->place[at] - 1].key, key, sizeof *key))
        at = (at + 1) & (ledger->places - 1);
    return &ledger->place[at];
}

static bool grow(struct ledger *ledger)
{
    size_t room = ledger->room ? 2 * ledger->room : 256;
    struct ledger_row *row = realloc(ledger->row, room * sizeof *row);
    ledger->row = row ? row : ledger->row;
    uint32_t *place = row ? calloc(2 * room, sizeof *place) : NULL;
    if (!place)
        return false;
    free(ledger->place);
    ledger->place = place;
    ledger->places = (uint32_t)(2 * room);
    ledger->room = room;
    for (size_t i = 0; i < ledger->count; i++)
        *find_place(ledger, &ledger->row[i].key) = (uint32_t)i + 1;
    return true;
}

/* The one for all that have none of their own, where there is no memory, or are too many. */
static struct ledger_row *row_of(struct ledger *ledger, const struct trace_count_key *key)
{
    uint32_t *place = ledger->places ? find_place(ledger, key) : NULL;
    if (place && *place)
        return &ledger->row[*place - 1];
    if (ledger->count == LEDGER_MOST || (ledger->count == ledger->room && !grow(ledger)))
        return &ledger->rest;
    struct ledger_row *row = &ledger->row[ledger->count++];
    *row = (struct ledger_row){ .key = *key };
    *find_place(ledger, key) = (uint32_t)ledger->count;
    return row;
}

static void add(struct trace_count *sum, const struct trace_count *more)
{
    sum->calls += more->calls;
    sum->messages += more->messages;
    sum->bytes += more->bytes;
    memcpy(sum->name, more->name, sizeof sum->name);
}

/* ---- Reading the kernel's --------------------------------------------------------------------------------------- */

/* One count into the ledger: as it is now, or for good, and out of the kernel. */
static void read_one(struct tong_trace *trace, const struct trace_count_key *key, bool take)
{
    struct trace_count count;
    struct trace_count_key kept = *key;
    kept.epoch = 0;
    if (map_get(trace->counts, key, &count) < 0)
        return;
    if (take && map_remove(trace->counts, key) < 0)
        return;
    trace->given_back += take;
    struct ledger_row *row = row_of(&trace->ledger, &kept);
    add(take ? &row->before : &row->live, &count);
}

/* Those of one epoch, in place of what was read last. */
static void read_all(struct tong_trace *trace, uint32_t epoch, bool take)
{
    struct trace_count_key key, next;
    trace->ledger.rest.live = (struct trace_count){ 0 };
    for (size_t i = 0; i < trace->ledger.count; i++)
        trace->ledger.row[i].live = (struct trace_count){ 0 };
    int r = map_next(trace->counts, NULL, &next);
    for (uint32_t i = 0; r == 0 && i < STEPS_MOST; i++) {
        key = next;
        r = map_next(trace->counts, &key, &next);
        if (key.epoch == epoch)
            read_one(trace, &key, take);
    }
}

static bool is_short_of_room(const struct tong_trace *trace)
{
    struct trace_lost lost = { 0 };
    map_get(trace->lost, &(uint32_t){ 0 }, &lost);
    return lost.begun > trace->given_back + ROOM_LEFT;
}

/*
 * From now on counts are of another epoch; once every program that began before has ended, those of the one before
 * stand still.  Where the kernel cannot say when that is, a program, which nothing interrupts for long, has ended by
 * then.
 */
void trace_make_room(struct tong_trace *trace)
{
    struct trace_settings settings;
    const uint32_t only = 0;
    if (!is_short_of_room(trace) || map_get(trace->settings, &only, &settings) < 0)
        return;
    uint32_t over = settings.epoch++;
    if (map_put(trace->settings, &only, &settings) < 0)
        return;
    if (sys_membarrier(MEMBARRIER_CMD_GLOBAL) < 0)
        sys_ppoll(NULL, 0, &(struct timespec){ .tv_nsec = GRACE }, NULL);
    read_all(trace, over, true);
}

static void fill_count(const struct tong_trace *trace, const struct ledger_row *row, tong_trace_count *ret)
{
    struct trace_count sum = row->before;
    add(&sum, &row->live);
    *ret = (tong_trace_count){ .size = sizeof *ret, .direction = row->key.direction, .pid = row->key.process,
                               .calls = sum.calls, .messages = sum.messages, .bytes = sum.bytes };
    memcpy(ret->name, *row->live.name ? row->live.name : row->before.name, sizeof ret->name - 1);
    trace_object_of(trace, &row->key.object, &ret->object);
}

ssize_t tong_trace_read_counts(tong_trace *trace)
{
    struct trace_settings settings = { 0 };
    trace_make_room(trace);
    map_get(trace->settings, &(uint32_t){ 0 }, &settings);
    read_all(trace, settings.epoch, false);
    tong_trace_count *count = realloc(trace->count, (trace->ledger.count + 1) * sizeof *count);
    if (!count)
        return fail(-ENOMEM, "tracing: out of memory");
    trace->count = count;
    trace->count_number = trace->ledger.count;
    for (size_t i = 0; i < trace->count_number; i++)
        fill_count(trace, &trace->ledger.row[i], &count[i]);
    return (ssize_t)trace->count_number;
}

const tong_trace_count *tong_trace_count_at(const tong_trace *trace, size_t index)
{
    return index < trace->count_number ? &trace->count[index] : NULL;
}

/* ---- Pairs ------------------------------------------------------------------------------------------------------ */

static void fill_pair(const struct trace_pair_key *key, const struct trace_pair *pair, tong_trace_pair *ret)
{
    *ret = (tong_trace_pair){ .size = sizeof *ret, .signal = (int32_t)key->signal, .from = key->from, .to = key->to,
                              .count = pair->count };
    memcpy(ret->from_name, pair->from, sizeof ret->from_name - 1);
    memcpy(ret->to_name, pair->to, sizeof ret->to_name - 1);
}

ssize_t tong_trace_read_pairs(tong_trace *trace)
{
    struct trace_pair_key key;
    struct trace_pair pair;
    size_t room = 0;
    trace->pair_number = 0;
    int r = map_next(trace->pairs, NULL, &key);
    for (; r == 0; r = map_next(trace->pairs, &key, &key)) {
        if (map_get(trace->pairs, &key, &pair) < 0)
            continue;
        if (trace->pair_number == room) {
            room = room ? 2 * room : 64;
            tong_trace_pair *more = realloc(trace->pair, room * sizeof *more);
            if (!more)
                return fail(-ENOMEM, "tracing: out of memory");
            trace->pair = more;
        }
        fill_pair(&key, &pair, &trace->pair[trace->pair_number++]);
    }
    return (ssize_t)trace->pair_number;
}

const tong_trace_pair *tong_trace_pair_at(const tong_trace *trace, size_t index)
{
    return index < trace->pair_number ? &trace->pair[index] : NULL;
}

void trace_free_counts(struct tong_trace *trace)
{
    free(trace->ledger.row);
    free(trace->ledger.place);
    free(trace->count);
    free(trace->pair);
    trace_free_sockets(&trace->sockets);
}
