/* SPDX-License-Identifier: MIT */
/*
 * System V queues, memory and semaphores, from /proc/sysvipc, which shows those of the reader's IPC namespace to
 * everybody. The size of a queue and the values of counters need the right to read the object (IPC_STAT, GETALL).
 *
 * Nobody has a queue or a set open.  What the kernel remembers is who used it last, so that is an end that may be one
 * (TONG_UNSURE); and if all of them are gone, the object is an orphan as far as can be concluded (TONG_INFERRED).
 * Memory knows how many have it attached, and their mappings tell who (probe_maps.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "inspect/probe.h"
#include "sys/sys.h"

#define COUNTERS_MOST 65536 /* SEMMSL has 32000 */
#define COUNTERS_SHOWN 16
#define SHM_DEST 01000      /* to be removed when the last one detaches */

/* Columns of a table, from 0; 0: has none, as the key is the first. */
struct sysv_table {
    const char *file, *scheme;
    uint32_t kind;
    unsigned uid;
    int (*add)(struct scan *scan, uint32_t object, int id, const char *line);
};

struct sysv_scan {
    struct scan *scan;
    const struct sysv_table *table;
    uint64_t namespace_inode;
};

static uint64_t number_at(const char *line, unsigned column)
{
    return strtoull(proc_word(line, column), NULL, 10);
}

/* The process of that number, if it was there at that time: else the number is another's by now. */
static uint32_t user_of(struct scan *scan, uint64_t pid, uint64_t seconds)
{
    uint32_t process = pid ? graph_process(scan->graph, (int64_t)pid) : TONG_NOBODY;
    return process != TONG_NOBODY && process_had_begun(scan, process, seconds) ? process : TONG_NOBODY;
}

/* 1: it lives. */
static unsigned add_user(struct scan *scan, uint32_t object, uint64_t pid, uint64_t seconds, uint32_t direction)
{
    const tong_end end = { .object = object, .process = user_of(scan, pid, seconds), .direction = direction, .fd = -1,
                           .certainty = TONG_UNSURE };
    if (end.process != TONG_NOBODY)
        graph_add_end(scan->graph, &end);
    return end.process != TONG_NOBODY;
}

static void conclude_orphan(struct scan *scan, uint32_t number, bool used, unsigned alive)
{
    tong_object *object = graph_object_at(scan->graph, number);
    if (!used || alive)
        return;
    object->flags |= TONG_OBJECT_ORPHAN;
    object->certainty = TONG_INFERRED;
}

/* key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime */
static int add_queue(struct scan *scan, uint32_t number, int id, const char *line)
{
    struct msqid_ds state;
    uint64_t sender = number_at(line, 5), receiver = number_at(line, 6);
    int r = sys_msgctl(id, IPC_STAT, &state);
    const char *detail = graph_format(scan->graph, "last sender %llu, last receiver %llu", (unsigned long long)sender,
                                      (unsigned long long)receiver);
    tong_object *object = graph_object_at(scan->graph, number);
    object->depth = number_at(line, 3);
    object->messages = number_at(line, 4);
    object->detail = detail;
    if (r == 0) {
        object->capacity = state.msg_qbytes;
        object->flags |= object->depth >= state.msg_qbytes || object->messages >= state.msg_qbytes ? TONG_OBJECT_FULL : 0;
    } else if (r != -EINVAL && r != -EIDRM)
        graph_missed(scan->graph, "sizes of System V queues", r);
    unsigned alive = add_user(scan, number, sender, number_at(line, 11), TONG_SEND) +
                     add_user(scan, number, receiver, number_at(line, 12), TONG_RECEIVE);
    conclude_orphan(scan, number, sender || receiver, alive);
    return scan->graph->error;
}

/* key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap */
static int add_memory(struct scan *scan, uint32_t number, int id, const char *line)
{
    (void)id;
    uint64_t attached = number_at(line, 6);
    const char *detail = graph_format(scan->graph, "%llu attached, made by %llu", (unsigned long long)attached,
                                      (unsigned long long)number_at(line, 4));
    tong_object *object = graph_object_at(scan->graph, number);
    object->capacity = number_at(line, 3);
    object->messages = attached;
    object->detail = detail;
    object->flags |= strtoul(proc_word(line, 2), NULL, 8) & SHM_DEST ? TONG_OBJECT_DELETED : 0;
    object->flags |= attached == 0 ? TONG_OBJECT_ORPHAN : 0;
    return scan->graph->error;
}

static void write_values(char *ret, size_t size, const unsigned short *values, size_t count)
{
    size_t zeros = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        zeros += values[i] == 0;
    at += (size_t)snprintf(ret, size, "%zu of %zu counter%s %s 0:", zeros, count, plural(count, "", "s"),
                           plural(zeros, "is", "are"));
    for (size_t i = 0; i < count && i < COUNTERS_SHOWN; i++)
        at += (size_t)snprintf(ret + at, size - at, " %u", values[i]);
    if (count > COUNTERS_SHOWN)
        snprintf(ret + at, size - at, " ...");
}

static int add_values(struct scan *scan, uint32_t number, int id, size_t count)
{
    char words[64 + 8 * COUNTERS_SHOWN];
    unsigned short *values = malloc(count * sizeof *values + 1);
    union sem_argument argument = { .values = values };
    int r = values ? sys_semctl(id, 0, GETALL, argument) : -ENOMEM;
    if (r >= 0) {
        write_values(words, sizeof words, values, count);
        const char *detail = graph_text(scan->graph, words);
        graph_object_at(scan->graph, number)->detail = detail;
    } else if (r != -EINVAL && r != -EIDRM)
        graph_missed(scan->graph, "values of System V semaphores", r);
    free(values);
    return r == -ENOMEM ? r : 0;
}

static int ask(struct scan *scan, int id, int counter, int command)
{
    int r = sys_semctl(id, counter, command, (union sem_argument){ 0 });
    graph_missed(scan->graph, "users of System V semaphores", r == -EINVAL || r == -EIDRM ? 0 : r);
    return r;
}

static void add_waiting(struct scan *scan, uint32_t number, unsigned more, unsigned zero)
{
    const char *before = graph_object_at(scan->graph, number)->detail;
    const char *detail = graph_format(scan->graph, "%s%s%u wait for more, %u for zero", before, *before ? "; " : "", more,
                                      zero);
    if (more + zero > 0)
        graph_object_at(scan->graph, number)->detail = detail;
}

/* key semid perms nsems uid gid cuid cgid otime ctime.  Each counter remembers who changed it last, and who waits is
 * counted. */
static int add_set(struct scan *scan, uint32_t number, int id, const char *line)
{
    uint64_t count = number_at(line, 3), used_at = number_at(line, 8), changed_at = number_at(line, 9);
    unsigned alive = 0, used = 0, more = 0, zero = 0;
    int r = count <= COUNTERS_MOST ? add_values(scan, number, id, (size_t)count) : 0;
    for (int i = 0; r == 0 && i < (int)count && i < COUNTERS_MOST; i++) {
        int pid = ask(scan, id, i, GETPID), for_more = ask(scan, id, i, GETNCNT), for_zero = ask(scan, id, i, GETZCNT);
        if (pid < 0)
            break;
        more += for_more > 0 ? (unsigned)for_more : 0;
        zero += for_zero > 0 ? (unsigned)for_zero : 0;
        used += pid > 0;
        alive += add_user(scan, number, (uint64_t)pid, used_at > changed_at ? used_at : changed_at,
                          TONG_SEND | TONG_RECEIVE);
    }
    add_waiting(scan, number, more, zero);
    conclude_orphan(scan, number, used, alive);
    return r ? r : scan->graph->error;
}

static const struct sysv_table tables[] = {
    { "sysvipc/msg", "msgq", TONG_KIND_MSGQ, 7, add_queue },
    { "sysvipc/shm", "sysvshm", TONG_KIND_SYSVSHM, 7, add_memory },
    { "sysvipc/sem", "sysvsem", TONG_KIND_SYSVSEM, 4, add_set },
};

static int add_object(void *context, char *line)
{
    const struct sysv_scan *sysv = context;
    struct tong_snapshot *graph = sysv->scan->graph;
    const struct sysv_table *table = sysv->table;
    char key[GRAPH_KEY];
    long value = strtol(line, NULL, 10);
    int id = (int)number_at(line, 1);
    if (!strchr("-0123456789", *proc_word(line, 0)))
        return 0; /* the names of the columns */
    snprintf(key, sizeof key, "%llu:%d", (unsigned long long)sysv->namespace_inode, id);
    uint32_t number = graph_object(graph, table->kind, key, NULL);
    if (number == TONG_NOBODY)
        return graph->error;
    const char *name = value ? graph_format(graph, "key 0x%x", (unsigned)value) : graph_format(graph, "id %d", id);
    const char *address = value ? graph_format(graph, "%s:%ld", table->scheme, value)
                                : graph_format(graph, "%s:id=%d", table->scheme, id);
    tong_object *object = graph_object_at(graph, number);
    object->name = name;
    object->address = address;
    object->source = table->kind == TONG_KIND_MSGQ ? "/proc/sysvipc/msg" : table->kind == TONG_KIND_SYSVSHM
                   ? "/proc/sysvipc/shm" : "/proc/sysvipc/sem";
    object->uid = (uint32_t)number_at(line, table->uid);
    object->gid = (uint32_t)number_at(line, table->uid + 1);
    object->mode = (uint32_t)strtoul(proc_word(line, 2), NULL, 8) & 0777;
    object->flags |= object->mode & 0002 ? TONG_OBJECT_WORLD_WRITABLE : 0;
    object->namespace_inode = sysv->namespace_inode;
    return table->add(sysv->scan, number, id, line);
}

int probe_sysv(struct scan *scan)
{
    int r = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && r == 0; i++) {
        struct sysv_scan sysv = { scan, &tables[i], scan->namespaces[SCAN_IPC] };
        ssize_t size = proc_read(&scan->proc, scan->proc.fd, tables[i].file);
        if (size < 0)
            graph_gap(scan->graph, "System V objects", "/proc/sysvipc cannot be read");
        r = size < 0 ? 0 : proc_lines(&scan->proc, add_object, &sysv);
    }
    return r;
}
