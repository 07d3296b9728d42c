/* SPDX-License-Identifier: MIT */
/*
 * What threads are in, as the program "calls" tells of it; of those that are just falling asleep or waking up, /proc does.
 *
 * What the arguments lead to is asked by the number of the process, which must be its own all the time.  So the directories
 * of all processes are looked at before the program runs, which then says whose the numbers are, and again afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/kernel.h"
#include "inspect/waits.h"

struct kernel_calls {
    struct kernel_list list;
    uint32_t *process;     /* of each record; TONG_NOBODY: it is not listed */
    uint32_t *order;       /* records, process by process */
    uint32_t *first;       /* of each process, in `order`; the last is the count */
    bool counts_turns;
};

static const struct call_seen *record_at(const struct kernel_calls *calls, size_t number)
{
    return (const struct call_seen *)calls->list.item + number;
}

/* A kernel may be told not to, and then has zeros in every schedstat; but whoever looks has had turns. */
static bool counts_turns(struct scan *scan)
{
    return proc_read(&scan->proc, scan->proc.fd, "thread-self/schedstat") > 0 && strcmp(scan->proc.buffer, "0 0 0\n");
}

static void read_now(const struct kernel_calls *calls, const struct call_seen *seen, struct thread_now *ret)
{
    const uint64_t times[3] = { seen->ran, seen->delayed, seen->turns }, none[3] = { 0 };
    *ret = (struct thread_now){
        .in_call = seen->kind == CALL_SEEN_CALL && seen->number >= 0, .number = (long)seen->number,
        .stack = seen->stack, .instruction = seen->instruction, .stopped = seen->state & TASK_SEEN_STOPPED,
        .turns = thread_turns_of(calls->counts_turns ? times : none),
    };
    for (unsigned i = 0; i < 6; i++)
        ret->argument[i] = seen->argument[i];
}

static int add_thread(struct scan *scan, uint32_t process, const struct kernel_calls *calls, const struct call_seen *seen)
{
    const tong_process *of = graph_process_at(scan->graph, process);
    int64_t tid = seen->who.thread ? seen->who.thread : of->pid;
    struct thread_now now;
    if (seen->kind == CALL_SEEN_ASK)
        thread_ask(scan, process, tid, &now);
    else
        read_now(calls, seen, &now);
    now.stopped = now.stopped && of->flags & TONG_PROCESS_STOPPED;
    return waits_add(scan, process, tid, &now);
}

/* Who has no thread any more is gone. */
static int list_threads(struct scan *scan, uint32_t process, const void *context)
{
    const struct kernel_calls *calls = context;
    uint32_t at = calls->first[process], end = calls->first[process + 1];
    int r = at < end ? 0 : -ESRCH;
    for (; at < end && r == 0; at++)
        r = add_thread(scan, process, calls, record_at(calls, calls->order[at]));
    return r;
}

/* ---- In order ---------------------------------------------------------------------------------------------- */

/* They come in the order of their numbers, and so do those of one process afterwards. */
static void put_in_order(const struct scan *scan, struct kernel_calls *calls)
{
    size_t processes = scan->graph->processes.count;
    for (size_t i = 0; i < calls->list.count; i++) {
        calls->process[i] = kernel_process_of_thread(scan, &record_at(calls, i)->who);
        if (calls->process[i] != TONG_NOBODY)
            calls->first[calls->process[i]]++;
    }
    for (size_t i = 1; i <= processes; i++)
        calls->first[i] += calls->first[i - 1];
    for (size_t i = calls->list.count; i-- > 0; )
        if (calls->process[i] != TONG_NOBODY)
            calls->order[--calls->first[calls->process[i]]] = (uint32_t)i;
}

static int sort_out(const struct scan *scan, struct kernel_calls *calls)
{
    calls->process = calloc(calls->list.count + 1, sizeof *calls->process);
    calls->order = calloc(calls->list.count + 1, sizeof *calls->order);
    calls->first = calloc(scan->graph->processes.count + 1, sizeof *calls->first);
    if (!calls->process || !calls->order || !calls->first)
        return -ENOMEM;
    put_in_order(scan, calls);
    return 0;
}

static void let_go(struct kernel_calls *calls)
{
    free(calls->process);
    free(calls->order);
    free(calls->first);
}

/* ---- Who held still ---------------------------------------------------------------------------------------- */

/*
 * Who has slept in the same call since before descriptors were looked at, without a turn on a processor, still has them:
 * they need not be asked for once more.  That is so of all threads that have one table, if no other process has it too.
 */
static bool held_still(const struct kernel_calls *before, const struct kernel_calls *calls, uint32_t process)
{
    uint32_t first = calls->first[process], count = calls->first[process + 1] - first, was = before->first[process];
    bool same = before->first[process + 1] - was == count;
    uint64_t files = count ? record_at(calls, calls->order[first])->files : 0;
    for (uint32_t i = 0; i < count && same; i++) {
        const struct call_seen *seen = record_at(calls, calls->order[first + i]);
        same = seen->kind == CALL_SEEN_CALL && seen->files == files &&
               !memcmp(seen, record_at(before, before->order[was + i]), sizeof *seen);
    }
    return same && count;
}

struct table {
    uint64_t files;
    uint32_t process;
};

static int compare_tables(const void *left, const void *right)
{
    const struct table *a = left, *b = right;
    return a->files < b->files ? -1 : a->files > b->files;
}

static size_t list_tables(const struct kernel_calls *calls, struct table *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < calls->list.count; i++)
        if (record_at(calls, i)->files)
            ret[count++] = (struct table){ record_at(calls, i)->files, calls->process[i] };
    return count;
}

/* Processes that have one table; of whom one may have ended since before descriptors were looked at. */
static int find_shared(const struct kernel_calls *before, const struct kernel_calls *calls, bool *still)
{
    struct table *tables = calloc(before->list.count + calls->list.count + 1, sizeof *tables);
    if (!tables)
        return -ENOMEM;
    size_t count = list_tables(before, tables);
    count += list_tables(calls, tables + count);
    if (count)
        qsort(tables, count, sizeof *tables, compare_tables);
    for (size_t i = 1; i < count; i++)
        if (tables[i].files == tables[i - 1].files && tables[i].process != tables[i - 1].process)
            for (size_t j = i - 1; j <= i; j++)
                if (tables[j].process != TONG_NOBODY)
                    still[tables[j].process] = false;
    free(tables);
    return 0;
}

static int find_still(const struct scan *scan, const struct kernel_calls *calls, bool *ret_still)
{
    struct kernel_calls before = { .list = { scan->calls, scan->calls_count } };
    int r = sort_out(scan, &before);
    for (uint32_t i = 0; i < scan->graph->processes.count && r == 0; i++)
        ret_still[i] = held_still(&before, calls, i);
    r = r < 0 ? r : find_shared(&before, calls, ret_still);
    let_go(&before);
    return r;
}

/* ---- All of it --------------------------------------------------------------------------------------------- */

static int read_waits(struct scan *scan, struct kernel_calls *calls)
{
    bool *still = calloc(scan->graph->processes.count + 1, sizeof *still);
    int r = still ? sort_out(scan, calls) : -ENOMEM;
    r = r < 0 ? r : find_still(scan, calls, still);
    calls->counts_turns = counts_turns(scan);
    r = r < 0 ? r : waits_read(scan, list_threads, still, calls);
    let_go(calls);
    free(still);
    return r;
}

int kernel_calls(struct scan *scan)
{
    struct kernel_list list;
    int r = scan->listed ? kernel_run(scan->kernel, "calls", sizeof(struct call_seen), &list) : -EOPNOTSUPP;
    if (r < 0)
        return r;
    scan->calls = list.item;
    scan->calls_count = list.count;
    return 0;
}

int kernel_waits(struct scan *scan)
{
    struct kernel_calls calls = { .process = NULL };
    if (!scan->calls)
        return -EOPNOTSUPP;
    int r = process_identify_all(scan);
    r = r < 0 ? r : kernel_run(scan->kernel, "calls", sizeof(struct call_seen), &calls.list);
    if (r < 0) {
        scan->identities.count = 0; /* nobody says whose numbers they were */
        return r;
    }
    r = read_waits(scan, &calls);
    free(calls.list.item);
    return r;
}
