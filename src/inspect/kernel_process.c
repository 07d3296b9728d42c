/* SPDX-License-Identifier: MIT */
/*
 * Processes, as the program "tasks" tells of them.  Command lines, which lie in their own memory, /proc tells, and what
 * the threads of the kernel work on, which is in their names there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/kernel.h"

#define SECOND UINT64_C(1000000000)

struct kernel_process {
    int number;        /* on the whole machine */
    uint32_t process;
    uint64_t started;  /* with its number, this and no other */
    int speaker;       /* if its first thread has ended, the one that tells what the process has; 0: none yet */
};

static uint32_t flags_of(const struct task_seen *seen)
{
    bool ended = seen->ended & TASK_SEEN_ENDED;
    uint32_t as = seen->threads > 1 ? TONG_PROCESS_HEADLESS : TONG_PROCESS_ZOMBIE;
    return (seen->flags & TASK_SEEN_KERNEL ? TONG_PROCESS_KERNEL : 0) | (ended ? as : 0) |
           (!ended && seen->state & TASK_SEEN_STOPPED ? TONG_PROCESS_STOPPED : 0);
}

/* Of a thread of the kernel its name, of a process its command line. */
static void ask(struct scan *scan, tong_process *process)
{
    char path[32];
    bool is_kernel = process->flags & TONG_PROCESS_KERNEL;
    if (process->flags & TONG_PROCESS_ZOMBIE)
        return;
    snprintf(path, sizeof path, "%lld/%s", (long long)process->pid, is_kernel ? "comm" : "cmdline");
    if (!is_kernel)
        process_read_command(scan, scan->proc.fd, path, process);
    else if (proc_read(&scan->proc, scan->proc.fd, path) > 0) {
        scan->proc.buffer[strcspn(scan->proc.buffer, "\n")] = '\0';
        process->name = scan->proc.buffer;
    }
}

static void add_process(struct scan *scan, const struct task_seen *seen, uint64_t tick)
{
    tong_process process = {
        .flags = flags_of(seen), .pid = seen->pid, .parent = seen->parent, .inner_pid = seen->inner_pid,
        .start_time = seen->start_time / tick,
        .uid = seen->uid, .gid = seen->gid, .name = seen->name, .command = "", .signals_pending = seen->signals_pending,
        .signals_blocked = seen->signals_blocked, .signals_ignored = seen->signals_ignored,
        .signals_caught = seen->signals_caught, .tracer = seen->tracer,
    };
    for (size_t i = 0; i < SCAN_NAMESPACES && !(process.flags & TONG_PROCESS_KERNEL); i++)
        process.namespaces[i] = seen->namespaces[i];
    ask(scan, &process);
    uint32_t number = graph_add_process(scan->graph, &process);
    scan->listed[scan->listed_count++] = (struct kernel_process){ seen->who.number, number, seen->who.started, 0 };
}

static int compare(const void *left, const void *right)
{
    const struct kernel_process *a = left, *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static struct kernel_process *find(const struct scan *scan, const struct who_seen *who)
{
    const struct kernel_process wanted = { .number = who->number };
    struct kernel_process *found = NULL;
    if (scan->listed_count)
        found = bsearch(&wanted, scan->listed, scan->listed_count, sizeof wanted, compare);
    return found && found->started == who->started ? found : NULL;
}

uint32_t kernel_process_of_thread(const struct scan *scan, const struct who_seen *who)
{
    const struct kernel_process *found = find(scan, who);
    return found ? found->process : TONG_NOBODY;
}

uint32_t kernel_process(const struct scan *scan, const struct who_seen *who)
{
    struct kernel_process *found = find(scan, who);
    if (!found)
        return TONG_NOBODY;
    if (!(graph_process_at(scan->graph, found->process)->flags & TONG_PROCESS_HEADLESS))
        return found->process;
    found->speaker = found->speaker ? found->speaker : who->thread;
    return found->speaker == who->thread ? found->process : TONG_NOBODY;
}

int kernel_processes(struct scan *scan)
{
    struct kernel_list list;
    long ticks = sysconf(_SC_CLK_TCK);
    int r = ticks <= 0 ? -EOPNOTSUPP : kernel_run(scan->kernel, "tasks", sizeof(struct task_seen), &list);
    if (r < 0)
        return r;
    scan->listed = calloc(list.count + 1, sizeof *scan->listed);
    for (size_t i = 0; i < list.count && scan->listed && !scan->graph->error; i++)
        add_process(scan, (const struct task_seen *)list.item + i, SECOND / (uint64_t)ticks);
    free(list.item);
    if (!scan->listed)
        return -ENOMEM;
    qsort(scan->listed, scan->listed_count, sizeof *scan->listed, compare);
    return scan->graph->error;
}
