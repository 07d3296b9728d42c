/* SPDX-License-Identifier: MIT */
/*
 * futex: the word's address, through the map it lies in, is a file and an offset that all who share it have in common;
 * a private one is its process's own.  Who holds a lock is known to the kernel only of robust and priority-inheriting
 * mutexes, whose word is the holder's number; of glibc's others, and of the writer of a lock of readers and
 * writers, it stands beside the word, if that is one at all, which the neighbourhood must look like in every field.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/areas.h"
#include "inspect/memory.h"
#include "inspect/waits.h"

/* pthread_mutex_t of glibc on 64-bit machines. */
struct mutex {
    uint32_t word, depth, owner, users, kind;
};

/* pthread_rwlock_t of glibc on 64-bit machines. */
struct rwlock {
    uint32_t readers, writers, phase_word, writers_word, pad[2];
    int32_t writer, shared;
    uint8_t zero[16];
    uint32_t kind;
};

#define WORDS_BEFORE offsetof(struct rwlock, writers_word) /* the last that is slept on */
#define WRITER_HOLDS 3u     /* in `readers`: it is the writers' turn, and one has it */
#define RWLOCK_WORD_MOST 3u
#define RWLOCK_KIND_MOST 2u

#define KIND_ROBUST 16u /* pthreadP.h */
#define KIND_SHARED 128u
#define KIND_ALL 0x1ffu
#define NOT_NAMED "/dev/zero (deleted)"
#define WORDS_MOST 128   /* of one futex_waitv, by the kernel */
#define CONTENDED 2u     /* what waiters for an ordinary mutex expect in its word */

struct mapping {
    uint64_t at;   /* what is looked for */
    bool found, shared;
    uint64_t device, inode, offset;
    char name[128];
};

static int find_mapping(void *context, const struct area *area)
{
    struct mapping *mapping = context;
    mapping->found = true;
    mapping->shared = area->shared;
    mapping->device = area->device;
    mapping->inode = area->inode;
    mapping->offset = area->offset + (mapping->at - area->from);
    snprintf(mapping->name, sizeof mapping->name, "%s", area->path);
    return 0;
}

static void map_of(struct look_at_thread *look, struct mapping *mapping)
{
    char path[48];
    snprintf(path, sizeof path, "%lld/maps", (long long)look->tid);
    areas_at(&look->scan->proc, look->scan->proc.fd, path, mapping->at, find_mapping, mapping);
}

/* One word that is waited on. */
struct word {
    uint64_t at;
    unsigned operation;  /* FUTEX_WAIT, ... */
    bool own;            /* FUTEX_PRIVATE_FLAG */
    uint32_t expected;
    bool multiplexed;    /* one of several */
};

static bool inherits(const struct word *word)
{
    return word->operation == FUTEX_LOCK_PI || word->operation == FUTEX_LOCK_PI2;
}

/* The holder's thread, or 0; whether the kernel vouches for it. */
static int64_t owner_of_mutex(struct look_at_thread *look, const struct word *word, bool shared, bool *ret_exact)
{
    struct mutex mutex = { 0 };
    bool whole = wait_peek(look, word->at, &mutex, sizeof mutex);
    bool is_mutex = whole && !(mutex.kind & ~KIND_ALL) && !(mutex.kind & KIND_SHARED) == !shared;
    *ret_exact = inherits(word) || (is_mutex && mutex.kind & KIND_ROBUST);
    if (inherits(word) || (*ret_exact && mutex.word & FUTEX_WAITERS))
        return mutex.word & FUTEX_TID_MASK;
    bool ordinary = is_mutex && !*ret_exact && mutex.word == CONTENDED && word->expected == CONTENDED && mutex.users > 0;
    return ordinary ? mutex.owner & FUTEX_TID_MASK : 0;
}

/* As one that a writer holds looks in every field. */
static bool is_written(const struct rwlock *lock, bool shared)
{
    static const uint8_t zeros[sizeof lock->zero];
    return (lock->readers & WRITER_HOLDS) == WRITER_HOLDS && lock->phase_word <= RWLOCK_WORD_MOST &&
           lock->writers_word <= RWLOCK_WORD_MOST && !lock->pad[0] && !lock->pad[1] && lock->shared == shared &&
           lock->kind <= RWLOCK_KIND_MOST && !memcmp(lock->zero, zeros, sizeof zeros) && lock->writer > 0;
}

/* Waiters for a lock of readers and writers sleep on one of three of its words.  Who reads is not written down. */
static int64_t writer_of(struct look_at_thread *look, const struct word *word, bool shared)
{
    static const size_t places[] = { offsetof(struct rwlock, readers), offsetof(struct rwlock, phase_word),
                                     offsetof(struct rwlock, writers_word) };
    unsigned char around[WORDS_BEFORE + sizeof(struct rwlock)];
    struct rwlock lock;
    /* Not at the edge of its memory, or of what it has touched: then each is asked for alone. */
    bool whole = memory_read(look->scan, look->tid, word->at - WORDS_BEFORE, around, sizeof around, false) == sizeof around;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (whole)
            memcpy(&lock, around + WORDS_BEFORE - places[i], sizeof lock);
        if ((whole || wait_peek_beside(look, word->at - places[i], &lock, sizeof lock)) && is_written(&lock, shared))
            return lock.writer;
    }
    return 0;
}

static int64_t owner_of(struct look_at_thread *look, const struct word *word, bool shared, bool *ret_exact)
{
    int64_t owner = owner_of_mutex(look, word, shared, ret_exact);
    return owner || *ret_exact ? owner : writer_of(look, word, shared);
}

static uint32_t object_of(struct look_at_thread *look, const struct mapping *mapping)
{
    char key[GRAPH_KEY + 24], file[GRAPH_KEY];
    bool fresh;
    graph_file_key(mapping->device, mapping->inode, file);
    snprintf(key, sizeof key, "%s:%llu", file, (unsigned long long)mapping->offset);
    uint32_t number = graph_object(look->scan->graph, TONG_KIND_FUTEX, key, &fresh);
    if (number == TONG_NOBODY || !fresh)
        return number;
    const char *memory = strcmp(mapping->name, NOT_NAMED) ? mapping->name : "memory without a name";
    const char *name = graph_format(look->scan->graph, "%s, byte %llu", memory, (unsigned long long)mapping->offset);
    tong_object *object = graph_object_at(look->scan->graph, number);
    object->name = name;
    object->source = "/proc/TID/syscall and maps";
    object->device = mapping->device;
    object->inode = mapping->inode;
    return number;
}

/* The kernel's word for a thread's end (pthread_join) is no private futex, though its memory is. */
static bool is_shared(struct look_at_thread *look, const struct word *word, struct mapping *ret)
{
    *ret = (struct mapping){ .at = word->at };
    if (word->own)
        return false;
    map_of(look, ret);
    return !ret->found || ret->shared;
}

static void wait_on_word(struct look_at_thread *look, const struct word *word)
{
    struct mapping mapping;
    bool exact = false, shared = is_shared(look, word, &mapping);
    int64_t owner = wait_same_namespace(look, SCAN_PID) ? owner_of(look, word, shared, &exact) : 0;
    enum rule rule = owner ? RULE_OWNER : !shared ? RULE_PROCESS : mapping.found ? RULE_OBJECT : RULE_OPEN;
    struct wait_fact fact = { .rule = rule, .fd = -1, .number = owner, .device = mapping.device, .inode = mapping.inode,
                              .inferred = !exact, .multiplexed = word->multiplexed };
    wait_add(look, &fact, shared && mapping.found ? object_of(look, &mapping) : TONG_NOBODY, 0,
             shared ? "" : owner ? "a lock" : "what its own threads alone could do");
}

void call_futex(struct look_at_thread *look)
{
    static const unsigned known[] = { FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI, FUTEX_LOCK_PI2,
                                      FUTEX_WAIT_REQUEUE_PI };
    const struct word word = { look->argument[0], (unsigned)look->argument[1] & FUTEX_CMD_MASK,
                               look->argument[1] & FUTEX_PRIVATE_FLAG, (uint32_t)look->argument[2], false };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == word.operation) {
            wait_on_word(look, &word);
            return;
        }
    wait_open(look, "a futex");
}

/* struct futex_waitv, which older headers lack. */
struct one_of_many {
    uint64_t value, at;
    uint32_t flags, zero;
};

void call_futex_waitv(struct look_at_thread *look)
{
    struct one_of_many words[WORDS_MOST];
    uint64_t count = look->argument[1];
    if (count > WORDS_MOST || !wait_peek(look, look->argument[0], words, count * sizeof *words)) {
        wait_open(look, "words that could not be read");
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct word word = { words[i].at, FUTEX_WAIT, words[i].flags & FUTEX_PRIVATE_FLAG, (uint32_t)words[i].value,
                                   true };
        wait_on_word(look, &word);
    }
}
