/* SPDX-License-Identifier: MIT */
/* Threads and what they wait for: what each is in (thread.c, kernel_wait.c), and what its call's arguments lead to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/look.h"
#include "inspect/memory.h"
#include "inspect/waits.h"
#include "sys/sys.h"

#define WATCHES_MOST 512 /* of one set; who waits for more is not judged */
#define STACK_LOWEST (UINT64_C(1) << 32) /* below it, a program of 32 bits, whose calls have other numbers */
#define SETS_DEEP 4     /* epoll sets in epoll sets */
#define ARGUMENTS "arguments of system calls"

/* ---- For those who decode --------------------------------------------------------------------------------- */

void wait_add(struct look_at_thread *look, const struct wait_fact *fact, uint32_t object, uint32_t direction,
              const char *detail)
{
    struct tong_snapshot *graph = look->scan->graph;
    struct wait_fact *added = graph_push(graph, &look->waits->facts, sizeof *added);
    const tong_wait_seen wait = {
        .process = look->process, .thread = look->tid, .object = object, .direction = direction,
        .flags = look->timed ? TONG_WAIT_TIMED : fact->rule == RULE_OPEN ? TONG_WAIT_UNKNOWN : 0,
        .certainty = fact->inferred ? TONG_INFERRED : TONG_EXACT, .operation = look->operation, .detail = detail,
    };
    if (!added)
        return;
    *added = *fact;
    added->thread = look->thread;
    graph_add_wait(graph, &wait);
    waits_threads(look->waits)[look->thread].count++;
    if (look->timed || fact->rule == RULE_OPEN)
        waits_threads(look->waits)[look->thread].certain = true;
}

void wait_open(struct look_at_thread *look, const char *detail)
{
    const struct wait_fact fact = { .rule = RULE_OPEN, .fd = -1 };
    wait_add(look, &fact, TONG_NOBODY, 0, detail);
}

static ssize_t peek(struct look_at_thread *look, uint64_t at, void *ret, size_t size, bool cut)
{
    ssize_t r = memory_read(look->scan, look->tid, at, ret, size, cut);
    if (r != -EFAULT && r != -EREMOTE)
        graph_missed(look->scan->graph, ARGUMENTS, r);
    return r;
}

/* What a call was given has been touched: that somebody would have to bring it is no reason to pass over it in silence. */
static ssize_t peek_argument(struct look_at_thread *look, uint64_t at, void *ret, size_t size, bool cut)
{
    ssize_t r = peek(look, at, ret, size, cut);
    if (r == -EREMOTE)
        graph_missed(look->scan->graph, ARGUMENTS, r);
    return r;
}

bool wait_peek(struct look_at_thread *look, uint64_t at, void *ret, size_t size)
{
    return peek_argument(look, at, ret, size, false) == (ssize_t)size;
}

bool wait_peek_path(struct look_at_thread *look, uint64_t at, char *ret, size_t size)
{
    ssize_t r = peek_argument(look, at, ret, size, true);
    return r > 0 && memchr(ret, '\0', (size_t)r);
}

bool wait_peek_beside(struct look_at_thread *look, uint64_t at, void *ret, size_t size)
{
    return peek(look, at, ret, size, false) == (ssize_t)size;
}

bool wait_same_namespace(const struct look_at_thread *look, unsigned which)
{
    return look->scan->namespaces[which] == graph_process_at(look->scan->graph, look->process)->namespaces[which];
}

/* ---- Descriptors ------------------------------------------------------------------------------------------ */

static int compare_descriptors(const void *left, const void *right)
{
    const struct descriptor_seen *a = left, *b = right;
    if (a->process != b->process)
        return a->process < b->process ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

/* The kernel tells of them in this order. */
static bool are_in_order(const struct descriptor_seen *list, size_t count)
{
    size_t i = 1;
    while (i < count && compare_descriptors(&list[i - 1], &list[i]) <= 0)
        i++;
    return i >= count;
}

static int list_descriptors(const struct tong_snapshot *graph, struct waits *waits)
{
    waits->descriptors = malloc((graph->ends.count + 1) * sizeof *waits->descriptors);
    if (!waits->descriptors)
        return -ENOMEM;
    for (size_t i = 0; i < graph->ends.count; i++) {
        const tong_end *end = &graph_ends(graph)[i];
        if (end->fd >= 0 && !(end->flags & (TONG_END_LOCK | TONG_END_WAITS | TONG_END_MAPPED)))
            waits->descriptors[waits->descriptors_count++] =
                (struct descriptor_seen){ end->process, end->object, end->direction, end->fd };
    }
    if (!are_in_order(waits->descriptors, waits->descriptors_count))
        qsort(waits->descriptors, waits->descriptors_count, sizeof *waits->descriptors, compare_descriptors);
    return 0;
}

static const struct descriptor_seen *find_descriptor(const struct waits *waits, uint32_t process, int fd)
{
    const struct descriptor_seen wanted = { .process = process, .fd = fd };
    return bsearch(&wanted, waits->descriptors, waits->descriptors_count, sizeof wanted, compare_descriptors);
}

/* It may have become another since descriptors were read: the link must still say the same. */
static bool is_still(struct look_at_thread *look, int fd, const tong_object *object, char *target, size_t size)
{
    char path[48];
    snprintf(path, sizeof path, "%lld/fd/%d", (long long)look->tid, fd);
    ssize_t r = proc_link(look->scan->proc.fd, path, target, size);
    graph_missed(look->scan->graph, "files that threads wait for", r);
    if (r < 0)
        return false;
    const char *open = strchr(target, '[');
    return *target == '/' || !open || open[1] < '0' || open[1] > '9' || strtoull(open + 1, NULL, 10) == object->inode;
}

static void wait_on_watches(struct look_at_thread *look, uint32_t set, unsigned deep);

static void wait_on_object(struct look_at_thread *look, uint32_t object, uint32_t direction, int fd, bool multiplexed,
                           unsigned deep)
{
    const struct descriptor_seen *seen = find_descriptor(look->waits, look->process, fd);
    const struct wait_fact fact = { .rule = RULE_OBJECT, .fd = fd, .fd_direction = seen ? seen->direction : 0,
                                    .multiplexed = multiplexed, .by_number = look->by_number };
    if (graph_object_at(look->scan->graph, object)->kind == TONG_KIND_EPOLL && deep < SETS_DEEP)
        wait_on_watches(look, object, deep + 1);
    else
        wait_add(look, &fact, object, direction, "");
}

/* Where the watches of a set begin, which are in order; where they would be, if it has none. */
static size_t first_watch(const struct tong_snapshot *graph, uint32_t set)
{
    size_t low = 0, high = graph->watches.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (graph_watches(graph)[middle].set < set)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What an epoll set tells of.  An empty one waits for who adds to it. */
static void wait_on_watches(struct look_at_thread *look, uint32_t set, unsigned deep)
{
    size_t first = first_watch(look->scan->graph, set), i = first, behind = first_watch(look->scan->graph, set + 1);
    if (behind - first > WATCHES_MOST) {
        wait_open(look, "a large epoll set");
        return;
    }
    for (; i < look->scan->graph->watches.count && graph_watches(look->scan->graph)[i].set == set; i++) {
        const struct graph_watch watch = graph_watches(look->scan->graph)[i];
        if (watch.object == TONG_NOBODY)
            wait_open(look, "a timer, a signal or a device");
        else if (watch.events & EPOLLIN || !(watch.events & EPOLLOUT))
            wait_on_object(look, watch.object, TONG_RECEIVE, watch.fd, true, deep);
        if (watch.object != TONG_NOBODY && watch.events & EPOLLOUT)
            wait_on_object(look, watch.object, TONG_SEND, watch.fd, true, deep);
    }
    if (i == first)
        wait_open(look, "an epoll set of which nothing is known");
}

/*
 * A call keeps the file that it began with, while another thread may give its number to another file: on that, nobody
 * sleeps then.  Who sends a datagram sleeps at its receiver, and who copies at one of two.
 */
static enum sleeper_seen sleeper_on(const struct look_at_thread *look, const struct descriptor_seen *seen,
                                    uint32_t direction)
{
    if (seen->object >= look->scan->sleepers_count)
        return SLEEPER_UNKNOWN;
    const struct sleepers *sleepers = &look->scan->sleepers[seen->object];
    const tong_object *object = graph_object_at(look->scan->graph, seen->object);
    bool is_one_way = seen->direction == TONG_SEND || seen->direction == TONG_RECEIVE;
    bool sends = (is_one_way ? seen->direction : direction) == TONG_SEND;
    bool elsewhere = look->either || (object->kind == TONG_KIND_UNIX && sends && strcmp(object->detail, "stream"));
    enum sleeper_seen found = sends ? sleepers->writing : sleepers->reading;
    return found == SLEEPER_NONE && elsewhere ? SLEEPER_UNKNOWN : found;
}

static void wait_on_seen(struct look_at_thread *look, const struct descriptor_seen *seen, uint32_t direction,
                         bool multiplexed)
{
    enum sleeper_seen sleeper = sleeper_on(look, seen, direction);
    look->by_number = sleeper == SLEEPER_UNKNOWN;
    if (sleeper == SLEEPER_NONE)
        wait_open(look, "a file whose number is another's by now");
    else
        wait_on_object(look, seen->object, direction, seen->fd, multiplexed, 0);
}

void wait_on_descriptor(struct look_at_thread *look, int fd, uint32_t direction, bool multiplexed)
{
    char target[160] = "a descriptor that could not be asked";
    const struct descriptor_seen *seen = find_descriptor(look->waits, look->process, fd);
    const tong_object *object = seen ? graph_object_at(look->scan->graph, seen->object) : NULL;
    tong_object none = { .inode = 0 };
    bool same = (object && look->waits->still && look->waits->still[look->process]) ||
                is_still(look, fd, object ? object : &none, target, sizeof target);
    if (object && same)
        wait_on_seen(look, seen, direction, multiplexed);
    else
        wait_open(look, graph_text(look->scan->graph, target));
}

/* ---- Threads ---------------------------------------------------------------------------------------------- */

int waits_add(struct scan *scan, uint32_t process, int64_t tid, const struct thread_now *now)
{
    struct waits *waits = scan->waits;
    struct look_at_thread look = { .scan = scan, .waits = waits, .process = process, .tid = tid,
                                   .pid = graph_process_at(scan->graph, process)->pid,
                                   .thread = (uint32_t)waits->threads.count };
    struct thread_seen *thread = graph_push(scan->graph, &waits->threads, sizeof *thread);
    if (!thread)
        return scan->graph->error;
    *thread = (struct thread_seen){
        .process = process, .tid = tid, .first = (uint32_t)waits->facts.count, .mark = thread_mark_of(now),
        .stopped = now->stopped, .turns = now->turns,
    };
    bool is_known = now->in_call && now->stack >= STACK_LOWEST;
    thread->certain = !is_known || tid == waits->own;
    if (now->refused)
        graph_gap(scan->graph, "system calls of threads", "not permitted to this user");
    memcpy(look.argument, now->argument, sizeof look.argument);
    if (!thread->certain)
        call_decode(&look, now->number);
    return scan->graph->error;
}

/* How much there is before a process is looked at. */
struct before {
    size_t threads, facts, waits, ends;
};

/* Its number was another's: nothing of that one is kept. */
static void forget(struct scan *scan, const struct before *before)
{
    scan->waits->threads.count = before->threads;
    scan->waits->facts.count = before->facts;
    scan->graph->waits.count = before->waits;
    scan->graph->ends.count = before->ends;
}

static int look_at(struct scan *scan, uint32_t number, waits_threads_of *threads_of, const void *context)
{
    const uint32_t nothing = TONG_PROCESS_KERNEL | TONG_PROCESS_ZOMBIE | TONG_PROCESS_HIDDEN | TONG_PROCESS_GONE;
    const struct before before = { scan->waits->threads.count, scan->waits->facts.count, scan->graph->waits.count,
                                   scan->graph->ends.count };
    if (graph_process_at(scan->graph, number)->flags & nothing)
        return 0;
    int r = threads_of(scan, number, context);
    r = r < 0 ? r : process_was_there(scan, number);
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
        return r;
    if (r < 0) {
        forget(scan, &before);
        graph_process_at(scan->graph, number)->flags |=
            r == -ENOENT || r == -ESRCH ? TONG_PROCESS_GONE : TONG_PROCESS_HIDDEN;
        graph_missed(scan->graph, "threads of processes", r);
    }
    return 0;
}

int waits_read(struct scan *scan, waits_threads_of *threads_of, const bool *still, const void *context)
{
    struct waits *waits = scan->waits = calloc(1, sizeof *waits);
    size_t processes = scan->graph->processes.count;
    if (!waits)
        return -ENOMEM;
    waits->own = gettid();
    waits->still = still;
    waits->first_thread = calloc(processes + 1, sizeof *waits->first_thread);
    waits->live = calloc(processes + 1, sizeof *waits->live);
    int r = waits->first_thread && waits->live ? list_descriptors(scan->graph, waits) : -ENOMEM;
    for (uint32_t process = 0; process < processes && r == 0; process++) {
        waits->first_thread[process] = (uint32_t)waits->threads.count;
        r = look_at(scan, process, threads_of, context);
    }
    if (r == 0)
        waits->first_thread[processes] = (uint32_t)waits->threads.count;
    waits->still = NULL;
    return r;
}

struct process_threads {
    struct scan *scan;
    uint32_t process;
};

static int add_thread(void *context, const char *name, int64_t tid)
{
    const struct process_threads *of = context;
    struct thread_now now;
    (void)name;
    thread_ask(of->scan, of->process, tid, &now);
    return waits_add(of->scan, of->process, tid, &now);
}

static int list_threads(struct scan *scan, uint32_t process, const void *context)
{
    struct process_threads of = { scan, process };
    char path[48];
    (void)context;
    snprintf(path, sizeof path, "%lld/task", (long long)graph_process_at(scan->graph, process)->pid);
    int directory = proc_directory(scan->proc.fd, path);
    int r = directory < 0 ? directory : proc_numbers(directory, add_thread, &of);
    sys_close(directory);
    return r;
}

int probe_waits(struct scan *scan)
{
    return waits_read(scan, list_threads, NULL, NULL);
}

void waits_free(struct waits *waits)
{
    if (!waits)
        return;
    free(waits->threads.item);
    free(waits->facts.item);
    free(waits->wakers.item);
    free(waits->descriptors);
    free(waits->first_thread);
    free(waits->live);
    free(waits->by_tid);
    free(waits);
}
