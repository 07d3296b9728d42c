/* SPDX-License-Identifier: MIT */
#include "inspect/graph.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define COMM_MOST 15
#define ROOM_FIRST 256
#define BLOCK 65536
#define FORMATTED 1024

/* ---- Memory ---------------------------------------------------------------------------------------------- */

static void *fail_memory(struct tong_snapshot *graph)
{
    graph->error = -ENOMEM;
    return NULL;
}

void *graph_push(struct tong_snapshot *graph, struct graph_array *array, size_t size)
{
    if (array->count == array->room) {
        size_t room = array->room ? 2 * array->room : ROOM_FIRST;
        void *wider = realloc(array->item, room * size);
        if (!wider)
            return fail_memory(graph);
        array->item = wider;
        array->room = room;
    }
    return memset((char *)array->item + array->count++ * size, 0, size);
}

static char *keep(struct tong_snapshot *graph, size_t size)
{
    struct graph_block *block = graph->text;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        block = malloc(sizeof *block + room);
        if (!block)
            return fail_memory(graph);
        *block = (struct graph_block){ graph->text, 0, room };
        graph->text = block;
    }
    block->used += size;
    return block->data + block->used - size;
}

const char *graph_text(struct tong_snapshot *graph, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 1;
    char *copy = size > 1 ? keep(graph, size) : NULL;
    return copy ? memcpy(copy, text, size) : "";
}

const char *graph_line(struct tong_snapshot *graph, const char *name)
{
    char *text = keep(graph, 4 * strlen(name) + 1);
    size_t at = 0;
    if (!text)
        return "";
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7f)
            at += (size_t)sprintf(text + at, "\\%03o", (unsigned)(unsigned char)*name);
        else
            text[at++] = *name;
    text[at] = '\0';
    return text;
}

const char *graph_address(struct tong_snapshot *graph, const char *scheme, const char *name)
{
    size_t at = strlen(scheme);
    char *text = keep(graph, at + 3 * strlen(name) + 1);
    if (!text)
        return "";
    memcpy(text, scheme, at);
    for (; *name; name++)
        if (strchr("%?,#", *name) || (unsigned char)*name < ' ' || *name == 0x7f)
            at += (size_t)sprintf(text + at, "%%%02x", (unsigned)(unsigned char)*name);
        else
            text[at++] = *name;
    text[at] = '\0';
    return text;
}

const char *graph_format(struct tong_snapshot *graph, const char *format, ...)
{
    char text[FORMATTED];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return graph_text(graph, text);
}

/* ---- Indices --------------------------------------------------------------------------------------------- */

static uint32_t hash_number(uint64_t number)
{
    number = (number ^ number >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(number ^ number >> 29);
}

static uint32_t hash_key(uint32_t kind, const char *key)
{
    uint64_t hash = kind;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return hash_number(hash);
}

static void enter(struct graph_slot *slots, uint32_t size, struct graph_slot entry)
{
    uint32_t at = entry.hash & (size - 1);
    while (slots[at].number)
        at = (at + 1) & (size - 1);
    slots[at] = entry;
}

static bool widen(struct graph_slot **slots, uint32_t *size)
{
    uint32_t wider = *size ? 2 * *size : 4 * ROOM_FIRST;
    struct graph_slot *fresh = calloc(wider, sizeof *fresh);
    for (uint32_t i = 0; fresh && i < *size; i++)
        if ((*slots)[i].number)
            enter(fresh, wider, (*slots)[i]);
    if (!fresh)
        return false;
    free(*slots);
    *slots = fresh;
    *size = wider;
    return true;
}

/* Enters the youngest of `count`; at most half of the slots are in use. */
static void enter_last(struct tong_snapshot *graph, struct graph_slot **slots, uint32_t *size, size_t count, uint32_t hash)
{
    if (2 * count > *size && !widen(slots, size))
        fail_memory(graph);
    else
        enter(*slots, *size, (struct graph_slot){ hash, (uint32_t)count });
}

/* ---- Processes and objects ------------------------------------------------------------------------------- */

tong_process *graph_process_at(struct tong_snapshot *graph, uint32_t process)
{
    return (tong_process *)graph->processes.item + process;
}

tong_object *graph_object_at(struct tong_snapshot *graph, uint32_t object)
{
    return (tong_object *)graph->objects.item + object;
}

uint32_t graph_process(const struct tong_snapshot *graph, int64_t pid)
{
    const tong_process *processes = graph->processes.item;
    uint32_t last = graph->pids - 1;
    if (!graph->pids)
        return TONG_NOBODY;
    for (uint32_t at = hash_number((uint64_t)pid) & last; graph->by_pid[at].number; at = (at + 1) & last)
        if (processes[graph->by_pid[at].number - 1].pid == pid)
            return graph->by_pid[at].number - 1;
    return TONG_NOBODY;
}

/* The kernel cuts names after 15 bytes, be that in the middle of a letter: what is left of it is no letter. */
static size_t whole_letters(const char *name)
{
    size_t size = strlen(name), lead = size;
    if (size != COMM_MOST)
        return size;
    while (lead > 0 && size - lead < 3 && ((unsigned char)name[lead - 1] & 0xc0) == 0x80)
        lead--;
    unsigned char first = lead > 0 ? (unsigned char)name[lead - 1] : 0;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return size - lead + 1 < length ? lead - 1 : size;
}

uint32_t graph_add_process(struct tong_snapshot *graph, const tong_process *process)
{
    tong_process *added = graph_push(graph, &graph->processes, sizeof *added);
    if (!added)
        return TONG_NOBODY;
    *added = *process;
    added->size = sizeof *added;
    added->name = graph_format(graph, "%.*s", (int)whole_letters(process->name), process->name);
    added->command = graph_text(graph, process->command);
    enter_last(graph, &graph->by_pid, &graph->pids, graph->processes.count, hash_number((uint64_t)process->pid));
    return (uint32_t)graph->processes.count - 1;
}

static uint32_t find_object(const struct tong_snapshot *graph, uint32_t kind, const char *key, uint32_t hash)
{
    const tong_object *objects = graph->objects.item;
    uint32_t last = graph->keys - 1;
    if (!graph->keys)
        return TONG_NOBODY;
    for (uint32_t at = hash & last; graph->by_key[at].number; at = (at + 1) & last) {
        uint32_t number = graph->by_key[at].number - 1;
        if (graph->by_key[at].hash == hash && objects[number].kind == kind && !strcmp(objects[number].key, key))
            return number;
    }
    return TONG_NOBODY;
}

uint32_t graph_find_object(const struct tong_snapshot *graph, uint32_t kind, const char *key)
{
    return find_object(graph, kind, key, hash_key(kind, key));
}

uint32_t graph_object(struct tong_snapshot *graph, uint32_t kind, const char *key, bool *ret_new)
{
    uint32_t hash = hash_key(kind, key), found = find_object(graph, kind, key, hash);
    if (ret_new)
        *ret_new = found == TONG_NOBODY;
    if (found != TONG_NOBODY)
        return found;
    tong_object *added = graph_push(graph, &graph->objects, sizeof *added);
    if (!added)
        return TONG_NOBODY;
    *added = (tong_object){
        .size = sizeof *added, .kind = kind, .certainty = TONG_EXACT, .key = graph_text(graph, key), .name = "",
        .address = "", .source = "", .detail = "", .uid = UINT32_MAX, .gid = UINT32_MAX, .mode = UINT32_MAX,
        .peer = TONG_NOBODY, .depth = TONG_UNKNOWN, .capacity = TONG_UNKNOWN, .messages = TONG_UNKNOWN,
        .passed = TONG_UNKNOWN,
    };
    enter_last(graph, &graph->by_key, &graph->keys, graph->objects.count, hash);
    return (uint32_t)graph->objects.count - 1;
}

void graph_number_key(uint64_t number, char ret[GRAPH_KEY])
{
    char digits[20], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    size_t size = (size_t)(digits + sizeof digits - at);
    memcpy(ret, at, size);
    ret[size] = '\0';
}

void graph_file_key(uint64_t device, uint64_t inode, char ret[GRAPH_KEY])
{
    snprintf(ret, GRAPH_KEY, "%u:%u:%llu", major(device), minor(device), (unsigned long long)inode);
}

/* ---- Ends, waits, findings, gaps ------------------------------------------------------------------------- */

uint32_t graph_add_end(struct tong_snapshot *graph, const tong_end *end)
{
    tong_end *added = graph_push(graph, &graph->ends, sizeof *added);
    if (!added)
        return TONG_NOBODY;
    *added = *end;
    added->size = sizeof *added;
    added->count = end->count ? end->count : 1;
    return (uint32_t)graph->ends.count - 1;
}

uint32_t graph_add_wait(struct tong_snapshot *graph, const tong_wait_seen *wait)
{
    tong_wait_seen *added = graph_push(graph, &graph->waits, sizeof *added);
    if (!added)
        return TONG_NOBODY;
    *added = *wait;
    added->size = sizeof *added;
    return (uint32_t)graph->waits.count - 1;
}

void graph_add_watch(struct tong_snapshot *graph, const struct graph_watch *watch)
{
    struct graph_watch *added = graph_push(graph, &graph->watches, sizeof *added);
    if (added)
        *added = *watch;
}

uint32_t graph_add_finding(struct tong_snapshot *graph, const tong_finding *finding)
{
    tong_finding *added = graph_push(graph, &graph->findings, sizeof *added);
    if (!added)
        return TONG_NOBODY;
    *added = *finding;
    added->size = sizeof *added;
    added->address = finding->address ? finding->address : "";
    return (uint32_t)graph->findings.count - 1;
}

bool graph_saw_everybody(const struct tong_snapshot *graph)
{
    const tong_process *processes = graph->processes.item;
    for (size_t i = 0; i < graph->processes.count; i++)
        if (processes[i].flags & TONG_PROCESS_HIDDEN)
            return false;
    return !graph->unseen;
}

void graph_gap(struct tong_snapshot *graph, const char *what, const char *why)
{
    tong_gap *gaps = graph->gaps.item;
    for (size_t i = 0; i < graph->gaps.count; i++)
        if (!strcmp(gaps[i].what, what) && !strcmp(gaps[i].why, why)) {
            gaps[i].count++;
            return;
        }
    tong_gap *added = graph_push(graph, &graph->gaps, sizeof *added);
    if (added)
        *added = (tong_gap){ sizeof *added, 1, what, why };
}

void graph_missed(struct tong_snapshot *graph, const char *what, int64_t error)
{
    static const struct { int error; const char *why; } reasons[] = {
        { EACCES, "not permitted to this user" }, { EPERM, "not permitted to this user" },
        { EMFILE, "this process has too many files open" }, { ENFILE, "the machine has too many files open" },
        { EREMOTE, "to ask for them could mean to wait for somebody" }, { ENOMEM, "memory is short" },
        { EINTR, "it was interrupted" }, { EIO, "they cannot be read" },
    };
    const char *why = "the kernel refuses";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        why = reasons[i].error == -error ? reasons[i].why : why;
    if (error < 0 && error != -ENOENT && error != -ESRCH)
        graph_gap(graph, what, why);
}

/* What is not known of a description cannot be told apart by it: then the direction tells. */
static int compare_ends(const void *left, const void *right)
{
    const tong_end *a = left, *b = right;
    if (a->object != b->object) /* as a rule */
        return a->object < b->object ? -1 : 1;
    const uint64_t x[] = { a->process, a->flags, a->description, a->direction, (uint32_t)a->fd };
    const uint64_t y[] = { b->process, b->flags, b->description, b->direction, (uint32_t)b->fd };
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

static bool is_same_end(const tong_end *a, const tong_end *b)
{
    return a->object == b->object && a->process == b->process && a->flags == b->flags &&
           a->description == b->description && a->direction == b->direction;
}

void graph_settle(struct tong_snapshot *graph)
{
    tong_end *ends = graph->ends.item;
    size_t kept = 0;
    if (graph->ends.count)
        qsort(ends, graph->ends.count, sizeof *ends, compare_ends);
    for (size_t i = 0; i < graph->ends.count; i++) {
        if (kept && is_same_end(&ends[kept - 1], &ends[i]))
            ends[kept - 1].count += ends[i].count;
        else
            ends[kept++] = ends[i];
    }
    graph->ends.count = kept;
}
