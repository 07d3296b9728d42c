/* SPDX-License-Identifier: MIT */
/*
 * Who could end a wait.  Too many are named rather than too few: a waker who would not do it hides a deadlock, one that
 * is missed raises a false alarm.
 *
 * What has a name can get a newcomer at any time.  That somebody else already uses it, for something else than this
 * very wait, is what speaks for a fixed circle of users; where nobody does, a newcomer is what is being waited for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/waits.h"
#include "sys/sys.h"

struct search {
    struct scan *scan;
    struct tong_snapshot *graph;
    struct waits *waits;
    struct wait_fact *fact;
    const tong_wait_seen *wait;
    uint32_t process;
};

static void add_waker(struct search *search, uint32_t process, uint32_t thread)
{
    struct waker *waker = graph_push(search->graph, &search->waits->wakers, sizeof *waker);
    if (!waker)
        return;
    *waker = (struct waker){ process, thread };
    search->fact->count++;
}

/* Nobody knows who. */
static void open_to_all(struct search *search)
{
    bool timed = search->wait->flags & TONG_WAIT_TIMED;
    search->fact->rule = RULE_OPEN;
    graph_waits(search->graph)[search->fact - waits_facts(search->waits)].flags |= timed ? 0 : TONG_WAIT_UNKNOWN;
}

static size_t ends_of(const struct search *search, uint32_t object, const tong_end **ret)
{
    size_t first, count = tong_snapshot_ends_of(search->graph, object, &first);
    *ret = graph_ends(search->graph) + first;
    return count;
}

/* Who has an end of it with one of these flags and directions; 0: whichever. */
static void add_ends(struct search *search, uint32_t object, uint32_t flags, uint32_t direction)
{
    const tong_end *ends;
    size_t count = ends_of(search, object, &ends);
    for (size_t i = 0; i < count; i++)
        if ((flags ? ends[i].flags & flags : !(ends[i].flags & (TONG_END_LOCK | TONG_END_WAITS))) &&
            (!direction || ends[i].direction & direction))
            add_waker(search, ends[i].process, TONG_NOBODY);
}

static bool waits_for_the_same(const struct search *search, uint32_t process)
{
    const struct waits *waits = search->waits;
    for (uint32_t i = waits->first_thread[process]; i < waits->first_thread[process + 1]; i++) {
        const struct thread_seen *thread = &waits_threads(waits)[i];
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++) {
            const tong_wait_seen *wait = &graph_waits(search->graph)[j];
            if (wait->object == search->wait->object && wait->direction == search->wait->direction)
                return true;
        }
    }
    return false;
}

/* Of what has a name. */
static void expect_newcomers(struct search *search)
{
    const struct waker *wakers = waits_wakers(search->waits) + search->fact->first;
    search->fact->inferred = true;
    for (uint32_t i = 0; i < search->fact->count; i++)
        if (wakers[i].process != search->process && !waits_for_the_same(search, wakers[i].process))
            return;
    open_to_all(search);
}

/* ---- By the kind of the object ---------------------------------------------------------------------------- */

/* A reader waits for writers, or for the last of them to leave. */
static void other_direction(struct search *search)
{
    uint32_t mine = search->fact->fd_direction, asked = search->wait->direction;
    mine = mine == TONG_RECEIVE || mine == TONG_SEND ? mine : asked == TONG_SEND ? TONG_SEND : TONG_RECEIVE;
    search->fact->hideable = true;
    add_ends(search, search->wait->object, 0, mine == TONG_SEND ? TONG_RECEIVE : TONG_SEND);
}

static void named_other_direction(struct search *search)
{
    other_direction(search);
    expect_newcomers(search);
}

static void all_ends(struct search *search)
{
    search->fact->hideable = true;
    add_ends(search, search->wait->object, 0, 0);
}

/* One that nobody has accepted yet bears the name of its listener. */
static void add_acceptors(struct search *search, uint32_t peer)
{
    const char *name = graph_object_at(search->graph, peer)->name;
    for (uint32_t i = 0; i < search->graph->objects.count && *name; i++) {
        const tong_object *object = graph_object_at(search->graph, i);
        if (object->kind == TONG_KIND_UNIX && object->flags & TONG_OBJECT_LISTENING && !strcmp(object->name, name))
            add_ends(search, i, 0, 0);
    }
}

/* Several may send to one datagram socket. */
static void add_senders(struct search *search)
{
    for (uint32_t i = 0; i < search->graph->objects.count; i++) {
        const tong_object *object = graph_object_at(search->graph, i);
        if (object->kind == TONG_KIND_UNIX && object->peer == search->wait->object)
            add_ends(search, i, 0, 0);
    }
}

static void other_socket(struct search *search)
{
    const tong_object *object = graph_object_at(search->graph, search->wait->object);
    bool listens = object->flags & TONG_OBJECT_LISTENING;
    bool many = !strncmp(object->detail, "datagram", 8);
    search->fact->hideable = true;
    if (listens && search->wait->direction == TONG_SEND)
        add_ends(search, search->wait->object, 0, 0);
    else if (listens || (many && (search->wait->direction != TONG_SEND && *object->name)) ||
             object->peer == TONG_NOBODY)
        open_to_all(search);
    else if (many && search->wait->direction != TONG_SEND)
        add_senders(search);
    else
        add_ends(search, object->peer, 0, 0);
    if (search->fact->rule != RULE_OPEN && search->fact->count == 0 && object->peer != TONG_NOBODY)
        add_acceptors(search, object->peer);
}

/* The memory that a futex lies in, or TONG_NOBODY. */
static uint32_t memory_of(const struct search *search)
{
    static const uint32_t kinds[] = { TONG_KIND_SHM, TONG_KIND_SEM, TONG_KIND_MEMFD, TONG_KIND_MAP, TONG_KIND_CHANNEL,
                                      TONG_KIND_FILE };
    char key[GRAPH_KEY];
    graph_file_key(search->fact->device, search->fact->inode, key);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint32_t object = graph_find_object(search->graph, kinds[i], key);
        if (object != TONG_NOBODY)
            return object;
    }
    snprintf(key, sizeof key, "%llu:%llu",
             (unsigned long long)graph_process_at(search->graph, search->process)->namespaces[SCAN_IPC],
             (unsigned long long)search->fact->inode);
    bool is_sysv = search->wait->object != TONG_NOBODY &&
                   !strncmp(graph_object_at(search->graph, search->wait->object)->name, "/SYSV", 5);
    return is_sysv ? graph_find_object(search->graph, TONG_KIND_SYSVSHM, key) : TONG_NOBODY;
}

static void who_maps(struct search *search)
{
    uint32_t memory = memory_of(search);
    search->fact->hideable = true;
    if (memory == TONG_NOBODY)
        return;
    const tong_object *object = graph_object_at(search->graph, memory);
    add_ends(search, memory, TONG_END_MAPPED, 0);
    if (*object->name && !(object->flags & TONG_OBJECT_DELETED) && object->kind != TONG_KIND_MEMFD)
        expect_newcomers(search);
}

static const struct {
    uint32_t kind;
    void (*find)(struct search *search);
} kinds[] = {
    { TONG_KIND_PIPE, other_direction },
    { TONG_KIND_FIFO, named_other_direction },
    { TONG_KIND_MQ, named_other_direction },
    { TONG_KIND_UNIX, other_socket },
    { TONG_KIND_TCP, other_socket },
    { TONG_KIND_EVENTFD, all_ends },
    { TONG_KIND_FUTEX, who_maps },
};

/* Who has nobody at the other side would not wait: something escaped the eye. */
static void by_object(struct search *search)
{
    uint32_t kind = graph_object_at(search->graph, search->wait->object)->kind;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            kinds[i].find(search);
    if (search->fact->count == 0)
        open_to_all(search);
}

/* ---- By other rules --------------------------------------------------------------------------------------- */

static bool is_waited_for(const struct search *search, uint32_t lock)
{
    const tong_end *ends;
    size_t count = ends_of(search, lock, &ends);
    for (size_t i = 0; i < count; i++)
        if (ends[i].process == search->process && ends[i].flags & TONG_END_WAITS)
            return true;
    return false;
}

/* A lock that the kernel names; of descriptions' locks it does not say who waits, so then all on that file. */
static void by_lock(struct search *search)
{
    uint32_t named = search->wait->object;
    bool only = is_waited_for(search, named);
    for (uint32_t i = 0; i < search->graph->objects.count; i++) {
        const tong_object *object = graph_object_at(search->graph, i);
        if (object->kind == TONG_KIND_LOCK &&
            (only ? i == named : object->device == search->fact->device && object->inode == search->fact->inode)) {
            add_ends(search, i, TONG_END_LOCK, 0);
            search->fact->hideable |= strncmp(object->key, "POSIX", 5) != 0;
        }
    }
    if (search->fact->count == 0)
        open_to_all(search);
}

static int compare_tids(const void *left, const void *right, void *threads)
{
    const struct thread_seen *all = threads;
    int64_t a = all[*(const uint32_t *)left].tid, b = all[*(const uint32_t *)right].tid;
    return a < b ? -1 : a > b;
}

static int sort_tids(struct waits *waits)
{
    waits->by_tid = malloc((waits->threads.count + 1) * sizeof *waits->by_tid);
    for (uint32_t i = 0; waits->by_tid && i < waits->threads.count; i++)
        waits->by_tid[i] = i;
    if (waits->by_tid)
        qsort_r(waits->by_tid, waits->threads.count, sizeof *waits->by_tid, compare_tids, waits_threads(waits));
    return waits->by_tid ? 0 : -ENOMEM;
}

static uint32_t thread_of(const struct waits *waits, int64_t tid)
{
    size_t low = 0, high = waits->threads.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (waits_threads(waits)[waits->by_tid[middle]].tid < tid)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t thread = low < waits->threads.count ? waits->by_tid[low] : TONG_NOBODY;
    return thread != TONG_NOBODY && waits_threads(waits)[thread].tid == tid ? thread : TONG_NOBODY;
}

static bool exists(const struct search *search, int64_t tid)
{
    char path[24];
    struct stat status;
    snprintf(path, sizeof path, "%lld", (long long)tid);
    return sys_fstatat(search->scan->proc.fd, path, &status, 0) == 0;
}

static bool maps(const struct search *search, uint32_t memory, uint32_t process)
{
    const tong_end *ends;
    size_t count = ends_of(search, memory, &ends);
    for (size_t i = 0; i < count; i++)
        if (ends[i].process == process && ends[i].flags & TONG_END_MAPPED)
            return true;
    return false;
}

/* Whether that process can have taken a lock in this memory. */
static bool shares(const struct search *search, uint32_t process)
{
    uint32_t memory = memory_of(search);
    return memory == TONG_NOBODY || process == search->process || maps(search, memory, process) ||
           graph_process_at(search->graph, process)->flags & TONG_PROCESS_HIDDEN;
}

/* A number in shared memory may be of a thread that is long gone, or by now another's, which has no such memory. */
static void by_owner(struct search *search)
{
    uint32_t thread = thread_of(search->waits, search->fact->number);
    uint32_t process = thread == TONG_NOBODY ? graph_process(search->graph, search->fact->number)
                                             : waits_threads(search->waits)[thread].process;
    if (search->wait->object == TONG_NOBODY && process != search->process)
        add_waker(search, search->process, TONG_NOBODY);
    else if (process != TONG_NOBODY && shares(search, process))
        add_waker(search, process, thread);
    else if (process == TONG_NOBODY && exists(search, search->fact->number))
        open_to_all(search);
    else
        search->fact->dead = true;
}

/* Who holds it; and who used it last, if that is somebody else: it may give what it never took.  Who waits for more of
 * what it holds takes again and again, so somebody there is who only gives. */
static void by_undo(struct search *search)
{
    uint32_t last = graph_process(search->graph, search->fact->number), holder;
    bool again = false, known = last == TONG_NOBODY || last == search->process;
    for (size_t place = 0; (holder = undo_holder(search->scan, &search->fact->undo, &place)) != TONG_NOBODY; ) {
        add_waker(search, holder, TONG_NOBODY);
        again |= holder == search->process;
        known |= holder == last;
    }
    search->fact->inferred = !known;
    if (!known)
        add_waker(search, last, TONG_NOBODY);
    if (again)
        open_to_all(search);
}

/* Of a semaphore whose last user is dead it may be that it took it for good. */
static void by_last_use(struct search *search)
{
    uint32_t process = graph_process(search->graph, search->fact->number);
    if (process != TONG_NOBODY && search->fact->used_at &&
        !process_had_begun(search->scan, process, search->fact->used_at))
        process = TONG_NOBODY;
    bool is_counter = graph_object_at(search->graph, search->wait->object)->kind == TONG_KIND_SYSVSEM;
    bool gone = process == TONG_NOBODY || graph_process_at(search->graph, process)->flags & TONG_PROCESS_ZOMBIE;
    if (process == search->process || (gone && !is_counter))
        open_to_all(search);
    else if (gone)
        search->fact->dead = search->fact->doubtful = true;
    else
        add_waker(search, process, TONG_NOBODY);
}

static void by_child(struct search *search)
{
    int64_t parent = graph_process_at(search->graph, search->process)->pid;
    bool ended = false;
    for (uint32_t i = 0; i < search->graph->processes.count; i++) {
        const tong_process *child = graph_process_at(search->graph, i);
        if (child->parent != parent || (search->fact->number && child->pid != search->fact->number))
            continue;
        ended |= (child->flags & TONG_PROCESS_ZOMBIE) != 0;
        add_waker(search, i, TONG_NOBODY);
    }
    if (ended || search->fact->count == 0)
        open_to_all(search);
}

static bool are_relatives(const struct search *search, uint32_t other)
{
    const tong_process *a = graph_process_at(search->graph, search->process);
    const tong_process *b = graph_process_at(search->graph, other);
    bool siblings = a->parent == b->parent && a->parent > 1;
    return a != b && (siblings || a->parent == b->pid || b->parent == a->pid);
}

/* Relatives that each wait at another FIFO may be meant to open each other's. */
static void by_opening(struct search *search)
{
    for (size_t i = 0; i < search->waits->facts.count; i++) {
        const tong_wait_seen *wait = &graph_waits(search->graph)[i];
        if (waits_facts(search->waits)[i].rule == RULE_OPENING && wait->object != search->wait->object &&
            are_relatives(search, wait->process))
            add_waker(search, wait->process, TONG_NOBODY);
    }
    search->fact->in_family = true;
    if (search->fact->count == 0)
        open_to_all(search);
}

static void by_process(struct search *search)
{
    add_waker(search, search->process, TONG_NOBODY);
}

static void (*const rules[])(struct search *search) = {
    [RULE_OPEN] = open_to_all, [RULE_OBJECT] = by_object, [RULE_LOCK] = by_lock, [RULE_OWNER] = by_owner,
    [RULE_HELD] = by_undo, [RULE_USED] = by_last_use, [RULE_CHILDREN] = by_child, [RULE_OPENING] = by_opening,
    [RULE_PROCESS] = by_process,
};

int wakers_find(struct scan *scan)
{
    struct waits *waits = scan->waits;
    int r = sort_tids(waits);
    for (size_t i = 0; i < waits->facts.count && r == 0; i++) {
        struct wait_fact *fact = &waits_facts(waits)[i];
        struct search search = { scan, scan->graph, waits, fact, &graph_waits(scan->graph)[i],
                                 waits_threads(waits)[fact->thread].process };
        fact->first = (uint32_t)waits->wakers.count;
        rules[fact->rule](&search);
        r = scan->graph->error;
    }
    return r;
}
