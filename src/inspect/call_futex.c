/* SPDX-License-Identifier: MIT */
/*
 * futex: the word's address, through the map it lies in, is a file and an offset that all who share it have in common;
 * a private one is its process's own.  Who holds a lock is known to the kernel only of robust and priority-inheriting
 * mutexes, whose word is the holder's number; of glibc's others it stands beside the word, if that is a mutex at all,
 * which the neighbourhood must look like in every field.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/areas.h"
#include "inspect/waits.h"

/* pthread_mutex_t of glibc on 64-bit machines. */
struct mutex {
    uint32_t word, depth, owner, users, kind;
};

#define KIND_ROBUST 16u /* pthreadP.h */
#define KIND_SHARED 128u
#define KIND_ALL 0x1ffu
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
    snprintf(path, sizeof path, "%lld/maps", (long long)look->pid);
    areas_at(&look->scan->proc, look->scan->proc.fd, path, mapping->at, find_mapping, mapping);
}

/* The holder's thread, or 0; whether the kernel vouches for it. */
static int64_t owner_of(struct look_at_thread *look, unsigned operation, bool shared, bool *ret_exact)
{
    struct mutex mutex = { 0 };
    bool whole = wait_peek(look, look->argument[0], &mutex, sizeof mutex);
    bool inherits = operation == FUTEX_LOCK_PI || operation == FUTEX_LOCK_PI2;
    bool is_mutex = whole && !(mutex.kind & ~KIND_ALL) && !(mutex.kind & KIND_SHARED) == !shared;
    *ret_exact = inherits || (is_mutex && mutex.kind & KIND_ROBUST);
    if (inherits || (*ret_exact && mutex.word & FUTEX_WAITERS))
        return mutex.word & FUTEX_TID_MASK;
    bool ordinary = is_mutex && !*ret_exact && mutex.word == CONTENDED && (uint32_t)look->argument[2] == CONTENDED &&
                    mutex.users > 0;
    return ordinary ? mutex.owner & FUTEX_TID_MASK : 0;
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
    const char *name = graph_format(look->scan->graph, "%s+%llu", mapping->name, (unsigned long long)mapping->offset);
    tong_object *object = graph_object_at(look->scan->graph, number);
    object->name = name;
    object->source = "/proc/TID/syscall and maps";
    object->device = mapping->device;
    object->inode = mapping->inode;
    return number;
}

/* The kernel's word for a thread's end (pthread_join) is no private futex, though its memory is. */
static bool is_shared(struct look_at_thread *look, struct mapping *ret)
{
    *ret = (struct mapping){ .at = look->argument[0] };
    if (look->argument[1] & FUTEX_PRIVATE_FLAG)
        return false;
    map_of(look, ret);
    return !ret->found || ret->shared;
}

void call_futex(struct look_at_thread *look)
{
    struct mapping mapping;
    unsigned operation = (unsigned)look->argument[1] & FUTEX_CMD_MASK;
    bool exact = false, shared = is_shared(look, &mapping);
    if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET && operation != FUTEX_LOCK_PI &&
        operation != FUTEX_LOCK_PI2 && operation != FUTEX_WAIT_REQUEUE_PI) {
        wait_open(look, "a futex");
        return;
    }
    int64_t owner = wait_same_namespace(look, SCAN_PID) ? owner_of(look, operation, shared, &exact) : 0;
    enum rule rule = owner ? RULE_OWNER : !shared ? RULE_PROCESS : mapping.found ? RULE_OBJECT : RULE_OPEN;
    struct wait_fact fact = { .rule = rule, .fd = -1, .number = owner, .device = mapping.device, .inode = mapping.inode,
                              .inferred = !exact };
    wait_add(look, &fact, shared && mapping.found ? object_of(look, &mapping) : TONG_NOBODY, 0,
             shared ? "" : owner ? "a mutex" : "what its own threads alone could do");
}
