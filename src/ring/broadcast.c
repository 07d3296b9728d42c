/* SPDX-License-Identifier: MIT */
/* Logs: indexes and room, taking a lane over, reading and being overtaken.  broadcast.h argues the orders. */
#include "ring/broadcast.h"

#include <errno.h>

#define TRIES 64 /* how often one look for the next record may be overtaken */

/* ---- Room ------------------------------------------------------------------------------------------------ */

static inline unsigned char *at(const struct ring_writer *writer, uint64_t position)
{
    return writer->data + (position & (writer->capacity - 1));
}

static bool is_below(uint64_t position, uint64_t limit)
{
    return (int64_t)(position - limit) < 0;
}

/* Whether that receiver must have what lies below `floor`.  Its head is not to be believed, but who lies about it hurts only
 * itself, or holds us up as one that is slow does. */
static bool needs(const struct ring_log *log, unsigned place, uint64_t floor)
{
    const struct layout_place *row = &log->receivers->control.places[place];
    uint64_t session = shared_session(row);
    return session_state(session) == SESSION_OPEN && session_number(session) != log->gone[place] && shared_slow(row) == 0 &&
           is_below(shared_head(&log->receivers->seats[place].positions[log->lane]), floor);
}

static bool anybody_needs(struct ring_log *log, uint64_t floor)
{
    if (needs(log, log->holder, floor))
        return true;
    for (uint64_t rest = shared_used(&log->receivers->control) & LAYOUT_EVERY_PLACE; rest; rest &= rest - 1) {
        unsigned place = (unsigned)__builtin_ctzll(rest);
        if (!needs(log, place, floor))
            continue;
        log->holder = place;
        return true;
    }
    return false;
}

/* Moves the floor to the next index, if that was published and nobody needs what lies below. */
static int raise_floor(struct ring_writer *writer)
{
    struct ring_log *log = writer->log;
    uint64_t next = log->index[log->first % RING_INDEXES];
    if (log->first == log->next || !is_below(next, writer->tail) || anybody_needs(log, next))
        return -EAGAIN;
    if (log->announced != next)
        shared_set_floor(writer->own, next);
    log->announced = next;
    shared_light_fence(log->fences);
    if (anybody_needs(log, next))
        return -EAGAIN;
    log->floor = next;
    log->first++;
    return 0;
}

static int make_room(struct ring_writer *writer, uint64_t bytes)
{
    int r = 0;
    while (r == 0 && writer->reserved + bytes - writer->log->floor > writer->capacity)
        r = raise_floor(writer);
    return r;
}

/* Whether a record of that size, with an index and a mark behind it, ends where the newest index can still be the floor. */
static bool fits_behind_index(const struct ring_writer *writer, uint64_t bytes)
{
    return writer->reserved + bytes + RECORD_INDEX_SIZE + RECORD_MARK - writer->log->newest <= writer->capacity;
}

/* One that is not remembered is never the floor; the newest one must be, because what comes may have room only with it. */
static void remember(struct ring_log *log, uint64_t position)
{
    log->newest = position;
    log->newest_end = position + RECORD_INDEX_SIZE;
    if (log->next - log->first == RING_INDEXES)
        log->next--;
    log->index[log->next++ % RING_INDEXES] = position;
}

static void set_mark(struct ring_writer *writer, uint64_t position)
{
    if (writer->log->marked != position)
        shared_set_mark(writer->own, position);
    writer->log->marked = position;
}

/* Behind claims it becomes one, which is settled and gets its number when those before it are. */
static int put_index(struct ring_writer *writer)
{
    const uint64_t word = record_word(0, RECORD_INDEX, 0);
    uint64_t start = writer->reserved, claim;
    int r = make_room(writer, RECORD_INDEX_SIZE + RECORD_MARK + RECORD_ZERO);
    if (r < 0)
        return r;
    if (ring_claims_empty(&writer->claims)) {
        shared_put(at(writer, start) + RECORD_ALIGN, writer->number);
        ring_publish(writer, start + RECORD_INDEX_SIZE, word);
        set_mark(writer, start);
    } else {
        r = ring_claims_push(&writer->claims, start, start + RECORD_INDEX_SIZE, &claim);
        if (r < 0)
            return r;
        ring_claim_at(&writer->claims, claim)->word = word;
        ring_claim_at(&writer->claims, claim)->settled = true;
        writer->reserved = start + RECORD_INDEX_SIZE;
    }
    remember(writer->log, start);
    return 0;
}

void ring_log_published(struct ring_writer *writer)
{
    const struct ring_log *log = writer->log;
    for (unsigned n = log->next; n != log->first; n--) {
        uint64_t index = log->index[(n - 1) % RING_INDEXES];
        if (!is_below(index, writer->tail))
            continue;
        set_mark(writer, index);
        return;
    }
}

/* The mark of an end needs no index before it, but may not take the room that the next one will need. */
static int prepare(struct ring_writer *writer, uint64_t bytes)
{
    const struct ring_log *log = writer->log;
    uint64_t start = writer->reserved;
    bool fits = fits_behind_index(writer, bytes);
    if (bytes <= RECORD_MARK + RECORD_ZERO)
        return fits ? 0 : -EAGAIN;
    bool due = start - log->newest >= writer->capacity / RECORD_CHUNKS || !fits;
    return due && start != log->newest_end ? put_index(writer) : 0;
}

/* The room that is told ends where the next index is due, so that the sender comes here for it. */
int ring_log_room(struct ring_writer *writer, uint64_t bytes)
{
    const struct ring_log *log = writer->log;
    int r = prepare(writer, bytes);
    writer->head = writer->reserved - writer->capacity; /* an index may have taken what was known */
    if (r == 0)
        r = make_room(writer, bytes);
    if (r < 0)
        return r;
    uint64_t needed = writer->reserved + bytes, end = log->newest + writer->capacity / RECORD_CHUNKS;
    if (is_below(log->floor + writer->capacity, end))
        end = log->floor + writer->capacity;
    writer->head = (is_below(end, needed) ? needed : end) - writer->capacity;
    return 0;
}

/* ---- Taking a lane over ---------------------------------------------------------------------------------- */

/* An index that says what it may. */
static bool check_index(struct ring_writer *writer, uint64_t position)
{
    uint64_t number = shared_get(at(writer, position) + RECORD_ALIGN);
    bool first = position == writer->log->announced;
    if (!first && number != writer->number)
        return false;
    writer->number = number;
    remember(writer->log, position);
    return true;
}

/* One step of the walk: bytes of the record there, or 0. */
static uint64_t walk(struct ring_writer *writer, uint64_t position, uint64_t word)
{
    bool indexed = word == record_word(0, RECORD_INDEX, 0);
    if (position == writer->log->announced && position != 0 && !indexed)
        return 0;
    if (indexed)
        return check_index(writer, position) ? RECORD_INDEX_SIZE : 0;
    unsigned kind = record_kind(word);
    writer->number += kind == RECORD_MESSAGE ? 1 : kind == RECORD_LOST ? record_length(word) : 0;
    return ring_extent(word);
}

static bool find_end(struct ring_writer *writer, uint64_t tail)
{
    uint64_t start = writer->log->announced, passed = 0, word;
    while ((word = shared_turn(at(writer, start + passed))) != 0) {
        uint64_t extent = walk(writer, start + passed, word);
        if (extent == 0 || passed + extent > writer->capacity - RECORD_ZERO)
            return false;
        passed += extent;
    }
    writer->tail = writer->reserved = start + passed;
    return tail - start <= passed && (start == 0 || passed > 0);
}

/* Nothing is known of the floor but that it was announced: it is the first index to be raised to. */
int ring_log_open_writer(struct ring_writer *writer, struct ring_log *log, struct layout_place *own, unsigned char *data,
                         uint64_t capacity)
{
    uint64_t tail = shared_tail(own);
    log->announced = shared_floor(own);
    *writer = (struct ring_writer){ .data = data, .own = own, .capacity = capacity, .log = log,
                                    .largest = record_largest_logged(capacity) };
    if ((tail | log->announced) & (RECORD_ALIGN - 1) || !find_end(writer, tail))
        return -EBADMSG;
    log->floor = log->announced == 0 ? 0 : writer->tail + RECORD_ZERO - capacity;
    writer->head = writer->tail + RECORD_ZERO - capacity;
    shared_set_tail(own, writer->tail);
    set_mark(writer, log->newest);
    return ring_claims_open(&writer->claims);
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

/* Tokens that were overtaken are given back later: the head stays where it went on. */
void ring_set_counted_head(struct ring_reader *reader, uint64_t head, uint64_t number)
{
    if (is_below(head, reader->head))
        return;
    reader->head = head;
    shared_set_count(&reader->own->counts[reader->count], head, number);
    reader->count ^= 1;
    shared_set_head(reader->own, head);
}

/* The number that belongs to the head, if there is one. */
static bool find_count(struct ring_reader *reader)
{
    for (unsigned i = 0; i < 2; i++) {
        if (shared_count_position(&reader->own->counts[i]) != reader->head)
            continue;
        reader->number = shared_count_number(&reader->own->counts[i]);
        reader->count = !i;
        return true;
    }
    return false;
}

int ring_log_open_reader(struct ring_reader *reader, struct layout_cursor *own, const struct layout_place *sender,
                         const unsigned char *data, uint64_t capacity, const struct ring_start *start)
{
    uint64_t floor = shared_floor(sender), intent = shared_intent(own);
    if ((start->head | floor) & (RECORD_ALIGN - 1))
        return -EBADMSG;
    *reader = (struct ring_reader){ .own = own, .log = sender, .capacity = capacity, .head = start->head,
                                    .quiet_to = start->quiet_to };
    bool counted = start->head == 0 || (start->resumed && find_count(reader));
    reader->standing = counted ? STANDS_WELL : STANDS_NEW;
    if (is_below(start->head, floor)) {
        reader->head = floor;
        reader->standing = counted && (start->resumed || start->awaited) ? STANDS_BEHIND : STANDS_NEW;
        reader->overtaken = start->awaited;
    }
    reader->seen = reader->head;
    reader->redelivered_to = start->resumed && intent - reader->head <= capacity ? intent : reader->head;
    int r = ring_claims_open(&reader->claims);
    if (r == 0)
        reader->data = data;
    return r;
}

/* At the oldest index; if nothing was received since the last time, the floor is too near: at the newest one. */
static int catch_up(struct ring_reader *reader, unsigned tries)
{
    uint64_t floor = shared_floor(reader->log), mark = shared_mark(reader->log);
    bool again = tries > 0 || reader->seen - reader->caught <= RECORD_INDEX_SIZE;
    uint64_t target = again && reader->caught != 0 ? mark : floor;
    if (!is_below(reader->seen, target) || target & (RECORD_ALIGN - 1))
        return -EBADMSG;
    if (reader->standing == STANDS_WELL)
        reader->standing = STANDS_BEHIND;
    reader->overtaken = true;
    reader->caught = reader->head = reader->seen = target;
    return 0;
}

/* What an index that is whole tells.  Whoever was waited for while behind stays at its old head for others until it has
 * received something, and so does one that tells of losses: a successor tells them again. */
static int read_index(struct ring_reader *reader, uint64_t end, uint64_t number)
{
    bool behind = reader->standing == STANDS_BEHIND;
    if ((reader->standing == STANDS_WELL && number != reader->number) ||
        (behind && is_below(number, reader->number)))
        return -EBADMSG;
    reader->missed += behind ? number - reader->number : 0;
    reader->number = number;
    reader->standing = STANDS_WELL;
    if (!behind)
        return ring_pass(reader, end);
    reader->seen = reader->head = end;
    return 0;
}

/* Whether nobody is to see it: it was there before a receiver that began with what comes. */
static bool is_quiet(const struct ring_reader *reader, const struct ring_record *record)
{
    return record->kind == RECORD_SKIP || is_below(record->start, reader->quiet_to);
}

static int pass_quietly(struct ring_reader *reader, const struct ring_record *record)
{
    reader->number += record->kind == RECORD_MESSAGE ? 1 : record->kind == RECORD_LOST ? record->length : 0;
    return ring_pass(reader, record->end);
}

/* The head of a record that is no message and no index. */
static bool read_mark(const struct ring_reader *reader, uint64_t word, struct ring_record *ret)
{
    uint64_t extent = record_offset(word) == 0 ? ring_mark_extent(word) : 0;
    *ret = (struct ring_record){ .kind = record_kind(word), .length = record_length(word), .start = reader->seen,
                                 .end = reader->seen + extent, .redelivered = ring_comes_again(reader) };
    return extent != 0 && extent % RECORD_ALIGN == 0 && extent <= ring_unread(reader);
}

/* Reads what stands next, of which nothing is believed before the floor was looked at: 1 it was overwritten, or nobody is
 * to see it. */
static int read_next(struct ring_reader *reader, struct ring_record *ret)
{
    uint64_t word = ring_turn(reader), number = shared_get(ring_stands_at(reader) + RECORD_ALIGN);
    bool indexed = word == record_word(0, RECORD_INDEX, 0);
    bool good = indexed || (reader->standing == STANDS_WELL && (ring_read(reader, word, ret) || read_mark(reader, word, ret)));
    if (!ring_is_whole(reader, reader->seen))
        return 1;
    if (word == 0 || !good)
        return word == 0 ? -EAGAIN : -EBADMSG;
    int r = indexed ? read_index(reader, reader->seen + RECORD_INDEX_SIZE, number)
                    : is_quiet(reader, ret) ? pass_quietly(reader, ret) : 2;
    return r == 0 ? 1 : r == 2 ? 0 : r;
}

int ring_log_next(struct ring_reader *reader, struct ring_record *ret)
{
    unsigned overtaken = 0;
    do {
        if (!ring_is_whole(reader, reader->seen) && overtaken == TRIES)
            return -EAGAIN;
        int r = ring_is_whole(reader, reader->seen) ? 1 : catch_up(reader, overtaken++);
        if (r >= 0)
            r = read_next(reader, ret);
        if (r != 1)
            return r;
    } while (++reader->passed % RING_RUN);
    return RING_PASSED;
}
