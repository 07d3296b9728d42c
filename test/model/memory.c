/* SPDX-License-Identifier: MIT */
/* The memory of the model: words, their stores, what threads know of them, and races on bytes. */
#include "inside.h"

#include <stdatomic.h>
#include <string.h>

#define STORES 8192 /* of an execution */
#define STORES_OF_ONE 250
#define LEFT_OUT UINT8_MAX
#define RANGES 16

struct store {
    uint64_t value, id;
    struct knowledge carried; /* to who acquires it */
    uint16_t before;          /* the store before it of the same location */
    const struct thread *by;
};

/* When each thread last touched it, and how. */
struct touched {
    uint16_t loaded[MODEL_THREADS], stored[MODEL_THREADS], read[MODEL_THREADS], written[MODEL_THREADS];
};

struct location {
    uint32_t at;     /* in the shared memory */
    uint8_t size, id;
    uint8_t newest;  /* the number of its last store; 0 is what was there */
    bool plain;      /* the last one was of bytes, by `by` */
    uint16_t last;   /* that store */
    uint64_t hash;   /* of the order of its stores */
    struct touched touched;
};

_Alignas(4096) unsigned char model_memory[MODEL_MEMORY];
const struct mutation *model_mutation;
uint64_t memory_hash, stores_made;

static struct location locations[LOCATIONS];
static unsigned many_locations;
static uint8_t location_at[MODEL_MEMORY / 4]; /* number + 1, or LEFT_OUT */
static struct range {
    size_t at, size;
} left_out[RANGES];
static unsigned many_left_out;
static struct store stores[STORES];
static unsigned many_stores;
static struct view whole; /* handed on by the fences of sequential consistency */
static uint64_t whole_hash;
static bool guesses, overtaking;

static size_t rings_at;
static uint64_t ring_capacity;
static unsigned many_rings;

/* ---- Knowledge --------------------------------------------------------------------------------------------------- */

static void view_join(struct view *to, const struct view *from)
{
    for (unsigned i = 0; i < LOCATIONS; i++)
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

void knowledge_join(struct knowledge *to, const struct knowledge *from)
{
    view_join(&to->view, &from->view);
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        to->clock.at[i] = to->clock.at[i] > from->clock.at[i] ? to->clock.at[i] : from->clock.at[i];
}

static bool acquires(int order)
{
    return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst ||
           order == memory_order_consume;
}

static bool releases(int order)
{
    return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

/* ---- Locations --------------------------------------------------------------------------------------------------- */

void model_lay_rings(size_t at, uint64_t capacity, unsigned many)
{
    rings_at = at;
    ring_capacity = capacity;
    many_rings = many;
}

void model_permit_guesses(void)
{
    guesses = true;
}

void model_permit_overtaking(void)
{
    overtaking = true;
}

void model_leave_out(size_t at, size_t size)
{
    if (many_left_out == RANGES)
        model_fail("more than %d ranges are left out", RANGES);
    left_out[many_left_out++] = (struct range){ at, size };
    memset(&location_at[at / 4], LEFT_OUT, size / 4);
}

static bool is_shared(const volatile void *at)
{
    size_t place = (uintptr_t)at - (uintptr_t)model_memory;
    return place < MODEL_MEMORY && location_at[place / 4] != LEFT_OUT;
}

/* A ring is mapped twice. */
static uint32_t place_of(const volatile void *at)
{
    size_t place = (uintptr_t)at - (uintptr_t)model_memory, ring = place - rings_at;
    if (place >= rings_at && ring < 2 * ring_capacity * many_rings)
        return (uint32_t)(place - (ring / ring_capacity % 2) * ring_capacity);
    return (uint32_t)place;
}

static uint64_t fetch(uint32_t at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, model_memory + at, size);
    return value;
}

static struct location *make_location(uint32_t at, size_t size)
{
    if (many_locations == LOCATIONS)
        model_fail("the scenario touches more than %d words", LOCATIONS);
    struct location *made = &locations[many_locations];
    *made = (struct location){ .at = at, .size = (uint8_t)size, .id = (uint8_t)many_locations, .last = (uint16_t)many_stores };
    location_at[at / 4] = (uint8_t)++many_locations;
    stores[many_stores++] = (struct store){ .value = fetch(at, size) };
    return made;
}

static struct location *find(uint32_t at, size_t size)
{
    unsigned number = location_at[at / 4];
    struct location *found = number ? &locations[number - 1] : make_location(at, size);
    if (found->size != size)
        model_fail("%u bytes are touched where a word of %u lies", (unsigned)size, found->size);
    return found;
}

void memory_reset(void)
{
    for (unsigned i = 0; i < many_locations; i++) {
        memset(model_memory + locations[i].at, 0, locations[i].size);
        location_at[locations[i].at / 4] = 0;
    }
    for (unsigned i = 0; i < many_left_out; i++) {
        memset(model_memory + left_out[i].at, 0, left_out[i].size);
        memset(&location_at[left_out[i].at / 4], 0, left_out[i].size / 4);
    }
    many_locations = many_stores = many_left_out = 0;
    guesses = overtaking = false;
    memset(&whole, 0, sizeof whole);
    memory_hash = whole_hash = stores_made = 0;
}

/* ---- Races ------------------------------------------------------------------------------------------------------- */

static void check_against(const struct location *location, const uint16_t when[MODEL_THREADS], const char *what)
{
    char name[64];
    for (unsigned i = 0; i < MODEL_THREADS; i++) {
        if (&threads[i] == current || when[i] <= current->now.clock.at[i])
            continue;
        model_name(location->at, name, sizeof name);
        model_fail("race: %s touches %s, which %s %s at the same time", current->name, name, threads[i].name, what);
    }
}

static uint16_t tick(void)
{
    return ++current->now.clock.at[current - threads];
}

/* ---- Stores ------------------------------------------------------------------------------------------------------ */

static void note_store(struct location *location, struct store *made)
{
    memory_hash -= location->hash;
    location->hash = mix(location->hash ? location->hash : location->at + 1, made->id);
    memory_hash += location->hash;
}

static struct store *append(struct location *location, uint64_t value)
{
    if (location->newest == STORES_OF_ONE || many_stores == STORES)
        model_fail("the execution does not end: too many stores");
    struct store *made = &stores[many_stores];
    *made = (struct store){ .value = value, .id = current->hash = mix(current->hash, mix(location->at, value)),
                            .before = location->last, .by = current };
    location->last = (uint16_t)many_stores++;
    location->newest++;
    location->plain = false;
    note_store(location, made);
    memcpy(model_memory + location->at, &value, location->size);
    current->now.view.at[location->id] = location->newest;
    stores_made++;
    return made;
}

/* What an atomic store carries, and its place in sequential consistency. */
static void publish(struct location *location, struct store *made, int order)
{
    knowledge_join(&made->carried, releases(order) ? &current->now : &current->fenced);
    if (order != memory_order_seq_cst)
        return;
    if (whole.at[location->id] < location->newest)
        whole.at[location->id] = location->newest;
    whole_hash = mix(whole_hash, made->id);
}

static void take_over(const struct store *store, int order)
{
    if (guesses && acquires(order))
        view_join(&current->taken, &store->carried.view);
    knowledge_join(acquires(order) ? &current->now : &current->pending, &store->carried);
}

/* ---- Wrong orders ------------------------------------------------------------------------------------------------ */

static bool is_wrong(const char *site)
{
    return __builtin_expect(model_mutation != NULL, 0) && !strcmp(model_mutation->site, site);
}

static int order_of(const char *site, int order)
{
    return is_wrong(site) && model_mutation->order >= 0 ? model_mutation->order : order;
}

bool model_skips(const char *site)
{
    return is_wrong(site) && model_mutation->order == MODEL_SKIP;
}

static bool holds_back(volatile void *at, size_t size, uint64_t value, int order, const char *site)
{
    if (!is_wrong(site) || !model_mutation->until || current->holds == HELD)
        return false;
    current->held[current->holds++] = (struct held){ at, size, value, order, site };
    return true;
}

static void store_now(volatile void *at, size_t size, uint64_t value, int order, const char *site);

/* After an access of `site`. */
static void let_go(const char *site)
{
    if (__builtin_expect(current->holds == 0, 1) || strcmp(model_mutation->until, site))
        return;
    unsigned many = current->holds;
    current->holds = 0;
    for (unsigned i = 0; i < many; i++)
        store_now(current->held[i].at, current->held[i].size, current->held[i].value, current->held[i].order,
                  current->held[i].site);
}

/* ---- Accesses ---------------------------------------------------------------------------------------------------- */

static const char *word_for(int order)
{
    static const char *const words[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };
    return words[order];
}

static void tell(const struct location *location, const char *what, uint64_t value, int order, const char *site,
                 const struct store *read, unsigned back)
{
    char name[64];
    if (!tracing)
        return;
    model_name(location->at, name, sizeof name);
    if (read)
        trace("%-9s %-28s %-14s %#llx, %u before the newest, by %s, %s", what, name, site, (unsigned long long)value, back,
              read->by ? read->by->name : "nobody", word_for(order));
    else
        trace("%-9s %-28s %-14s %#llx, %s", what, name, site, (unsigned long long)value, word_for(order));
}

/* A process's own words are nobody else's. */
static uint64_t load_own(const volatile void *at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)at, size);
    return value;
}

/* The one that is read: `back` stores before the newest, as far back as is known and sequential consistency lets it. */
static const struct store *pick(const struct location *location, int order, unsigned *ret_back)
{
    unsigned oldest = current->now.view.at[location->id], index = location->last;
    if (order == memory_order_seq_cst && oldest < whole.at[location->id])
        oldest = whole.at[location->id];
    unsigned back = *ret_back = choose_store(location->newest - oldest + 1U);
    while (back-- > 0)
        index = stores[index].before;
    return &stores[index];
}

static uint64_t read_from(struct location *location, const struct store *store, unsigned back, int order, const char *site)
{
    if (!guesses)
        check_against(location, location->touched.written, "wrote");
    location->touched.loaded[current - threads] = tick();
    current->now.view.at[location->id] = (uint8_t)(location->newest - back);
    if (back > 0) {
        current->saw_old = true;
        current->old_location = location->id;
    }
    current->hash = mix(current->hash, mix(location->at + 7, store->id));
    take_over(store, order);
    if (order == memory_order_seq_cst)
        current->hash = mix(current->hash, whole_hash);
    tell(location, "loads", store->value, order, site, store, back);
    return store->value;
}

uint64_t model_load(const volatile void *at, size_t size, int order, const char *site)
{
    if (!is_shared(at))
        return load_own(at, size);
    unsigned back;
    order = order_of(site, order);
    point();
    struct location *location = find(place_of(at), size);
    const struct store *store = pick(location, order, &back);
    uint64_t value = read_from(location, store, back, order, site);
    let_go(site);
    return value;
}

static void store_now(volatile void *at, size_t size, uint64_t value, int order, const char *site)
{
    point();
    struct location *location = find(place_of(at), size);
    check_against(location, location->touched.written, "wrote");
    check_against(location, location->touched.read, "read");
    location->touched.stored[current - threads] = tick();
    publish(location, append(location, value), order);
    tell(location, "stores", value, order, site, NULL, 0);
    let_go(site);
}

void model_store(volatile void *at, size_t size, uint64_t value, int order, const char *site)
{
    if (!is_shared(at))
        memcpy((void *)(uintptr_t)at, &value, size);
    else if (!holds_back(at, size, value, order_of(site, order), site))
        store_now(at, size, value, order_of(site, order), site);
}

static uint64_t changed(enum model_change how, uint64_t old, uint64_t value)
{
    switch (how) {
    case MODEL_ADD: return old + value;
    case MODEL_SUBTRACT: return old - value;
    case MODEL_OR: return old | value;
    case MODEL_AND: return old & value;
    case MODEL_XOR: return old ^ value;
    default: return value;
    }
}

static uint64_t cut_to(size_t size, uint64_t value)
{
    return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

/* Reads the newest and puts something behind it, which carries on what that carried. */
static void replace(struct location *location, uint64_t value, int order, const char *site)
{
    const struct store *old = &stores[location->last];
    struct knowledge carried = old->carried;
    read_from(location, old, 0, order, site);
    check_against(location, location->touched.read, "read");
    location->touched.stored[current - threads] = tick();
    struct store *made = append(location, cut_to(location->size, value));
    made->carried = carried;
    publish(location, made, order);
    tell(location, "changes", value, order, site, NULL, 0);
}

uint64_t model_change(volatile void *at, size_t size, enum model_change how, uint64_t value, int order, const char *site)
{
    if (!is_shared(at)) {
        uint64_t old = load_own(at, size), new = changed(how, old, value);
        memcpy((void *)(uintptr_t)at, &new, size);
        return old;
    }
    order = order_of(site, order);
    point();
    struct location *location = find(place_of(at), size);
    uint64_t old = stores[location->last].value;
    if (model_skips(site))
        return old;
    replace(location, changed(how, old, value), order, site);
    let_go(site);
    return old;
}

static bool exchange_own(volatile void *at, size_t size, void *expected, uint64_t value)
{
    uint64_t old = load_own(at, size);
    bool same = old == load_own(expected, size);
    memcpy(same ? (void *)(uintptr_t)at : expected, same ? &value : &old, size);
    return same;
}

/* It succeeds on the newest alone; where that is something else, it fails on that or on something older that is, too. */
static void fail_exchange(struct location *location, void *expected, int order, const char *site)
{
    unsigned back;
    const struct store *store = pick(location, order, &back), *newest = &stores[location->last];
    bool old = newest->value != load_own(expected, location->size) && store->value != load_own(expected, location->size);
    uint64_t value = old ? read_from(location, store, back, order, site) : read_from(location, newest, 0, order, site);
    memcpy(expected, &value, location->size);
}

/* A weak one may fail for no reason, but not twice in a row. */
static bool fails_idly(void)
{
    current->idle = !current->idle && choose_store(2) == 1;
    return current->idle;
}

bool model_exchange_if(volatile void *at, size_t size, void *expected, uint64_t value, int order, int failed_order,
                       bool weak, const char *site)
{
    if (!is_shared(at))
        return exchange_own(at, size, expected, value);
    point();
    struct location *location = find(place_of(at), size);
    bool same = stores[location->last].value == load_own(expected, size) && !(weak && fails_idly());
    if (same)
        replace(location, value, order_of(site, order), site);
    else
        fail_exchange(location, expected, order_of(site, failed_order), site);
    let_go(site);
    return same;
}

/* To look again and find the same old store is to have waited longer. */
void memory_pass_time(void)
{
    if (current->saw_old)
        current->now.view.at[current->old_location]++;
    current->saw_old = false;
}

uint64_t memory_newest(const void *at, size_t size)
{
    struct location *location = find(place_of(at), size);
    const struct store *store = &stores[location->last];
    current->now.view.at[location->id] = location->newest;
    current->hash = mix(current->hash, mix(location->at + 3, store->id));
    return store->value;
}

/* ---- Fences ------------------------------------------------------------------------------------------------------ */

void memory_fence_in(struct thread *thread)
{
    knowledge_join(&thread->now, &thread->pending);
    view_join(&thread->now.view, &whole);
    whole = thread->now.view;
    thread->fenced = thread->now;
    thread->hash = mix(thread->hash, mix(5, whole_hash));
    whole_hash = mix(whole_hash, thread->hash);
}

void model_fence(int order, const char *site)
{
    if (model_skips(site))
        return;
    point();
    order = order_of(site, order);
    trace("fences    %s, %s", site, word_for(order));
    if (order == memory_order_seq_cst) {
        memory_fence_in(current);
        return;
    }
    if (acquires(order))
        knowledge_join(&current->now, &current->pending);
    if (releases(order))
        current->fenced = current->now;
    current->hash = mix(current->hash, 11 + (uint64_t)order);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------- */

static void read_bytes(struct location *location)
{
    check_against(location, location->touched.written, "wrote");
    check_against(location, location->touched.stored, "stored");
    location->touched.read[current - threads] = tick();
}

/* Several writes in a row of one thread are one store: nobody may look in between. */
static void write_bytes(struct location *location, unsigned first, const void *from, size_t size)
{
    check_against(location, location->touched.written, "wrote");
    check_against(location, location->touched.read, "read");
    check_against(location, location->touched.stored, "stored");
    if (!guesses)
        check_against(location, location->touched.loaded, "loaded");
    location->touched.written[current - threads] = tick();
    if (!location->plain || stores[location->last].by != current)
        append(location, fetch(location->at, location->size));
    location->plain = true;
    if (guesses)
        view_join(&stores[location->last].carried.view, &current->taken);
    memcpy(model_memory + location->at + first, from, size);
    stores[location->last].value = fetch(location->at, location->size);
}

/* Of what lies in one word: a word is all that anybody sees of a copy at once. */
static void copy_guess(unsigned char *to, const unsigned char *from, size_t size)
{
    uint64_t word = 0;
    if (is_shared(from)) {
        unsigned first = (uintptr_t)from & 7;
        word = model_load(from - first, 8, memory_order_relaxed, "memcpy");
        memcpy(to, (unsigned char *)&word + first, size);
    } else {
        if (size != 8 || (uintptr_t)to & 7)
            model_fail("a part of a word is written where receivers are overtaken");
        memcpy(&word, from, 8);
        model_store(to, 8, word, memory_order_relaxed, "memcpy");
    }
}

/* Of what lies in one word at both sides. */
static void copy_piece(unsigned char *to, const unsigned char *from, size_t size)
{
    unsigned char piece[8];
    uint32_t source = is_shared(from) ? place_of(from) : 0, target = is_shared(to) ? place_of(to) : 0;
    if (is_shared(from))
        read_bytes(find(source & ~7U, 8));
    memcpy(piece, is_shared(from) ? model_memory + source : from, size);
    if (is_shared(to))
        write_bytes(find(target & ~7U, 8), target & 7, piece, size);
    else
        memcpy(to, piece, size);
}

void *model_copy(void *to, const void *from, size_t size)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    if (!is_shared(to) && !is_shared(from))
        return memcpy(to, from, size);
    for (size_t piece; size > 0; out += piece, in += piece, size -= piece) {
        size_t left = 8 - (is_shared(out) ? (uintptr_t)out & 7 : 0), right = 8 - (is_shared(in) ? (uintptr_t)in & 7 : 0);
        piece = left < right ? left : right;
        piece = piece < size ? piece : size;
        (overtaking ? copy_guess : copy_piece)(out, in, piece);
    }
    return to;
}
