/* SPDX-License-Identifier: MIT */
/*
 * Who is stuck.  A thread is live if it runs, waits for what anybody could do, or waits for somebody who is live; of
 * several things that it waits for, one is enough.  Liveness spreads until nothing changes, and who is left can be
 * woken by nobody.
 *
 * It spreads in two rounds.  The first takes what can be seen for all there is; who is left over then was asked once
 * more, and has not run in between.  The second calls live who might be woken by somebody who cannot be seen: what it
 * leaves is stuck, and what it adds to the living only looks like it.  Signals are not counted: they could end nearly
 * every wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "inspect/waits.h"
#include "sys/sys.h"

#define CALL 256
#define GENERATIONS 256       /* of ancestors */
#define LIBC_SIGNALS (UINT64_C(3) << 31) /* 32 and 33, which libc catches for its own use */

struct judge {
    struct scan *scan;
    struct tong_snapshot *graph;
    struct waits *waits;
    uint32_t threads;
    bool any_hidden;
    bool strict;       /* the second round */
    bool *looks_stuck; /* threads: left over by the first round */
};

static const tong_process *process_at(const struct judge *judge, uint32_t process)
{
    return graph_process_at(judge->graph, process);
}

/* ---- Liveness --------------------------------------------------------------------------------------------- */

/* Of whom no thread was seen.  A known waker that cannot be looked at is taken for live: its clients are no finding. */
static bool lives_unseen(const struct judge *judge, uint32_t process)
{
    bool seen = judge->waits->first_thread[process] != judge->waits->first_thread[process + 1];
    return !seen && !(process_at(judge, process)->flags & TONG_PROCESS_ZOMBIE);
}

static bool is_woken(const struct judge *judge, const struct wait_fact *fact)
{
    const struct waker *wakers = waits_wakers(judge->waits) + fact->first;
    if (fact->rule == RULE_OPEN)
        return true;
    for (uint32_t i = 0; i < fact->count; i++)
        if (wakers[i].thread == TONG_NOBODY ? judge->waits->live[wakers[i].process]
                                            : waits_threads(judge->waits)[wakers[i].thread].live)
            return true;
    return false;
}

static bool could_be_hidden(const struct judge *judge, uint32_t process, const struct wait_fact *fact);

static bool is_live(const struct judge *judge, const struct thread_seen *thread)
{
    bool live = thread->certain || thread->count == 0;
    for (uint32_t i = thread->first; i < thread->first + thread->count && !live; i++) {
        const struct wait_fact *fact = &waits_facts(judge->waits)[i];
        live = is_woken(judge, fact) ||
               (judge->strict && (fact->doubtful || could_be_hidden(judge, thread->process, fact)));
    }
    return live;
}

static void settle(struct judge *judge)
{
    struct thread_seen *threads = waits_threads(judge->waits);
    for (bool changed = true; changed; ) {
        changed = false;
        for (uint32_t i = 0; i < judge->threads; i++)
            if (!threads[i].live && is_live(judge, &threads[i]))
                threads[i].live = judge->waits->live[threads[i].process] = changed = true;
    }
}

/* Who could be hidden is asked of those only who live by nobody else: it takes long. */
static void spread(struct judge *judge)
{
    bool strict = judge->strict;
    for (uint32_t i = 0; i < judge->graph->processes.count; i++)
        judge->waits->live[i] = lives_unseen(judge, i);
    for (uint32_t i = 0; i < judge->threads; i++)
        waits_threads(judge->waits)[i].live = false;
    judge->strict = false;
    settle(judge);
    judge->strict = strict;
    if (strict)
        settle(judge);
}

/* ---- Who cannot be seen ----------------------------------------------------------------------------------- */

static uint32_t parent_of(const struct judge *judge, uint32_t process)
{
    int64_t parent = process_at(judge, process)->parent;
    return parent > 0 ? graph_process(judge->graph, parent) : TONG_NOBODY;
}

static bool is_ancestor(const struct judge *judge, uint32_t ancestor, uint32_t process)
{
    for (unsigned i = 0; i < GENERATIONS && process != TONG_NOBODY && process != ancestor; i++)
        process = parent_of(judge, process);
    return process == ancestor;
}

/* From whom a process and all its wakers descend. */
static uint32_t family_of(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    const struct waker *wakers = waits_wakers(judge->waits) + fact->first;
    for (uint32_t i = 0; i < fact->count; i++)
        while (process != TONG_NOBODY && !is_ancestor(judge, process, wakers[i].process))
            process = parent_of(judge, process);
    return process;
}

/*
 * What has no name is handed down from parent to child (or through a socket, which is not followed).  So a process that
 * cannot be seen has it only if it is of the same family, whose head, which made it, may have let go of it.
 */
static bool could_be_hidden(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    if (!judge->any_hidden || !fact->hideable)
        return false;
    uint32_t head = family_of(judge, process, fact);
    head = head == TONG_NOBODY ? head : parent_of(judge, head);
    if (head == TONG_NOBODY || process_at(judge, head)->flags & TONG_PROCESS_HIDDEN)
        return true;
    for (uint32_t i = 0; i < judge->graph->processes.count; i++)
        if (process_at(judge, i)->flags & TONG_PROCESS_HIDDEN && is_ancestor(judge, head, i))
            return true;
    return false;
}

/* ---- Asking once more ------------------------------------------------------------------------------------- */

/* A socket may have a time limit of its own, which no argument shows: 1 it has, 0, or a negative errno. */
static int has_time_limit(int64_t pid, int fd, uint32_t direction)
{
    struct timeval limit = { 0 };
    socklen_t size = sizeof limit;
    int which = direction == TONG_SEND ? SO_SNDTIMEO : SO_RCVTIMEO;
    int process = sys_pidfd_open((pid_t)pid), copy = process < 0 ? process : sys_pidfd_getfd(process, fd);
    int r = copy < 0 ? copy
                     : sys_getsockopt(copy, SOL_SOCKET, which, &limit, &size);
    sys_close(copy < 0 ? -1 : copy);
    sys_close(process < 0 ? -1 : process);
    return r < 0 ? r : limit.tv_sec || limit.tv_usec;
}

static void ask_socket(struct judge *judge, uint32_t number)
{
    tong_wait_seen *wait = &graph_waits(judge->graph)[number];
    struct wait_fact *fact = &waits_facts(judge->waits)[number];
    uint32_t kind = wait->object == TONG_NOBODY ? 0 : graph_object_at(judge->graph, wait->object)->kind;
    if ((kind != TONG_KIND_UNIX && kind != TONG_KIND_TCP) || fact->multiplexed || fact->fd < 0)
        return;
    int r = has_time_limit(process_at(judge, wait->process)->pid, fact->fd, wait->direction);
    fact->doubtful |= r < 0;
    if (r < 0)
        graph_gap(judge->graph, "time limits of sockets", "not permitted to this user");
    if (r <= 0)
        return;
    wait->flags |= TONG_WAIT_TIMED;
    waits_threads(judge->waits)[fact->thread].certain = true;
}

static void ask_again(struct judge *judge)
{
    char call[CALL];
    for (uint32_t i = 0; i < judge->threads; i++) {
        struct thread_seen *thread = &waits_threads(judge->waits)[i];
        if (thread->live)
            continue;
        int64_t pid = process_at(judge, thread->process)->pid;
        thread->certain = wait_mark(judge->scan, pid, thread->tid, call, sizeof call) != thread->mark;
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++)
            ask_socket(judge, j);
    }
}

/* ---- Event loops ------------------------------------------------------------------------------------------ */

static bool is_own(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    const struct waker *wakers = waits_wakers(judge->waits) + fact->first;
    bool own = !fact->dead && fact->rule != RULE_OPENING;
    for (uint32_t i = 0; i < fact->count && own; i++)
        own = wakers[i].process == process;
    return own;
}

/*
 * A process that only it itself could wake, by a pipe to itself, and that catches signals: that is how programs wait
 * for signals.  In poll or in its threads' own locks it is idle; in a plain read it may be one that forgot to close an
 * end.
 */
static void excuse(struct judge *judge, uint32_t process)
{
    struct waits *waits = judge->waits;
    uint32_t first = waits->first_thread[process], end = waits->first_thread[process + 1];
    bool own = first < end && process_at(judge, process)->signals_caught & ~LIBC_SIGNALS, idle = true;
    for (uint32_t i = first; i < end && own; i++) {
        const struct thread_seen *thread = &waits_threads(waits)[i];
        own = !thread->live;
        for (uint32_t j = thread->first; j < thread->first + thread->count && own; j++) {
            const struct wait_fact *fact = &waits_facts(waits)[j];
            own = is_own(judge, process, fact);
            idle &= fact->multiplexed || fact->rule == RULE_PROCESS;
        }
    }
    for (uint32_t i = first; i < end && own; i++) {
        struct thread_seen *thread = &waits_threads(waits)[i];
        thread->certain |= idle;
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++)
            waits_facts(waits)[j].doubtful = true;
    }
}

/* ---- Findings --------------------------------------------------------------------------------------------- */

struct group {
    uint32_t *thread;
    uint32_t count;
};

typedef bool (*member_of)(const struct judge *judge, uint32_t thread);

static bool is_stuck(const struct judge *judge, uint32_t thread)
{
    return judge->looks_stuck[thread] && !waits_threads(judge->waits)[thread].live;
}

static bool looks_stuck(const struct judge *judge, uint32_t thread)
{
    return judge->looks_stuck[thread] && waits_threads(judge->waits)[thread].live;
}

/* Who is in the group that is gathered. */
struct members {
    bool *thread, *taken; /* taken: in this group or one before it */
};

static void join(const struct judge *judge, struct group *group, struct members *members, uint32_t thread,
                 member_of member)
{
    if (members->taken[thread] || !member(judge, thread))
        return;
    members->taken[thread] = members->thread[thread] = true;
    group->thread[group->count++] = thread;
}

/* Calls `visit` with each thread that could wake this one, until it returns true. */
static bool each_waker(const struct judge *judge, uint32_t sleeper, bool (*visit)(void *context, uint32_t thread),
                       void *context)
{
    const struct thread_seen *waiting = &waits_threads(judge->waits)[sleeper];
    for (uint32_t i = waiting->first; i < waiting->first + waiting->count; i++) {
        const struct wait_fact *fact = &waits_facts(judge->waits)[i];
        for (uint32_t j = 0; j < fact->count; j++) {
            const struct waker *waker = &waits_wakers(judge->waits)[fact->first + j];
            bool any = waker->thread == TONG_NOBODY;
            uint32_t first = any ? judge->waits->first_thread[waker->process] : waker->thread;
            uint32_t end = any ? judge->waits->first_thread[waker->process + 1] : waker->thread + 1;
            for (uint32_t thread = first; thread < end; thread++)
                if (visit(context, thread))
                    return true;
        }
    }
    return false;
}

struct gathering {
    const struct judge *judge;
    struct group *group;
    struct members *members;
    member_of member;
};

static bool join_waker(void *context, uint32_t thread)
{
    struct gathering *gathering = context;
    join(gathering->judge, gathering->group, gathering->members, thread, gathering->member);
    return false;
}

static bool is_joined(void *context, uint32_t thread)
{
    const struct gathering *gathering = context;
    return gathering->members->thread[thread];
}

/* Those that wait for each other, in the order of the chain; then who waits for one of them. */
static void gather(struct gathering *gathering, uint32_t first)
{
    const struct judge *judge = gathering->judge;
    struct group *group = gathering->group;
    struct members *members = gathering->members;
    memset(members->thread, 0, judge->threads * sizeof *members->thread);
    group->count = 0;
    join(judge, group, members, first, gathering->member);
    for (uint32_t at = 0; at < group->count; ) {
        for (; at < group->count; at++)
            each_waker(judge, group->thread[at], join_waker, gathering);
        for (uint32_t i = 0; i < judge->threads; i++)
            if (!members->taken[i] && gathering->member(judge, i) && each_waker(judge, i, is_joined, gathering))
                join(judge, group, members, i, gathering->member);
    }
}

static bool is_concluded(const struct judge *judge, const struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const struct thread_seen *thread = &waits_threads(judge->waits)[group->thread[i]];
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++)
            if (waits_facts(judge->waits)[j].inferred)
                return true;
    }
    return judge->any_hidden;
}

static uint32_t keep_waits(struct judge *judge, const struct group *group, uint32_t flag)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct thread_seen *thread = &waits_threads(judge->waits)[group->thread[i]];
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++, count++) {
            uint32_t *kept = graph_push(judge->graph, &judge->graph->stuck, sizeof *kept);
            if (!kept)
                return count;
            *kept = j;
            graph_waits(judge->graph)[j].flags |= flag;
        }
    }
    return count;
}

static const char *summary_of(struct judge *judge, const struct group *group, bool sure)
{
    char first[96], second[96] = "";
    proof_thread(judge->scan, group->thread[0], first, sizeof first);
    if (group->count > 1)
        proof_thread(judge->scan, group->thread[1], second, sizeof second);
    const char *verb = sure ? "" : ", as far as can be seen";
    if (group->count == 1)
        return graph_format(judge->graph, "%s waits for what nobody can do%s", first, verb);
    if (group->count == 2)
        return graph_format(judge->graph, "%s and %s wait, and nobody can wake them%s", first, second, verb);
    return graph_format(judge->graph, "%s, %s and %u more wait, and nobody can wake them%s", first, second,
                        group->count - 2, verb);
}

static void report(struct judge *judge, const struct group *group, bool sure)
{
    uint32_t first = waits_threads(judge->waits)[group->thread[0]].first;
    long long pid = process_at(judge, waits_threads(judge->waits)[group->thread[0]].process)->pid;
    tong_finding finding = {
        .kind = sure ? TONG_FINDING_STUCK : TONG_FINDING_UNSURE,
        .certainty = !sure ? TONG_UNSURE : is_concluded(judge, group) ? TONG_INFERRED : TONG_EXACT,
        .object = graph_waits(judge->graph)[first].object,
        .first_wait = (uint32_t)judge->graph->stuck.count,
        .summary = summary_of(judge, group, sure),
        .proof = proof_of(judge->scan, group->thread, group->count),
        .advice = sure ? graph_format(judge->graph,
                                      "end one of them (kill %lld), and then look why it took what it holds", pid)
                       : "look again as root, or later: somebody who could not be seen may still wake them",
    };
    finding.waits = keep_waits(judge, group, sure ? TONG_WAIT_STUCK : TONG_WAIT_UNKNOWN);
    graph_add_finding(judge->graph, &finding);
}

static bool mark(void *context, uint32_t thread)
{
    ((bool *)context)[thread] = true;
    return false;
}

/* Leaves those for whom somebody waits that is left: circles, and what they wait for. */
static void find_circles(const struct judge *judge, bool *circle, bool *waited, member_of member)
{
    for (uint32_t i = 0; i < judge->threads; i++)
        circle[i] = member(judge, i);
    for (bool changed = true; changed; ) {
        changed = false;
        memset(waited, 0, judge->threads * sizeof *waited);
        for (uint32_t i = 0; i < judge->threads; i++)
            if (circle[i])
                each_waker(judge, i, mark, waited);
        for (uint32_t i = 0; i < judge->threads; i++) {
            changed |= circle[i] && !waited[i];
            circle[i] &= waited[i];
        }
    }
}

/* Circles come first, so that a chain begins with who makes it and not with who hangs on it. */
static int report_all(struct judge *judge, member_of member, bool sure)
{
    size_t room = judge->threads + 1;
    struct members members = { calloc(room, sizeof(bool)), calloc(room, sizeof(bool)) };
    struct group group = { calloc(room, sizeof *group.thread), 0 };
    struct gathering gathering = { judge, &group, &members, member };
    bool *circle = calloc(room, sizeof *circle);
    int r = members.thread && members.taken && group.thread && circle ? 0 : -ENOMEM;
    if (r == 0)
        find_circles(judge, circle, members.thread, member);
    for (uint32_t i = 0; i < 2 * judge->threads && r == 0; i++) {
        uint32_t thread = i % judge->threads;
        if (members.taken[thread] || !member(judge, thread) || (i < judge->threads && !circle[thread]))
            continue;
        gather(&gathering, thread);
        report(judge, &group, sure);
    }
    free(circle);
    free(group.thread);
    free(members.taken);
    free(members.thread);
    return r;
}

int find_stuck(struct scan *scan)
{
    struct judge judge = { .scan = scan, .graph = scan->graph, .waits = scan->waits,
                           .threads = (uint32_t)scan->waits->threads.count,
                           .looks_stuck = calloc(scan->waits->threads.count + 1, sizeof(bool)) };
    int r = judge.looks_stuck ? wakers_find(scan) : -ENOMEM;
    for (uint32_t i = 0; i < scan->graph->processes.count && r == 0; i++)
        judge.any_hidden |= (graph_process_at(scan->graph, i)->flags & TONG_PROCESS_HIDDEN) != 0;
    if (r == 0) {
        spread(&judge);
        ask_again(&judge);
        spread(&judge);
        for (uint32_t i = 0; i < scan->graph->processes.count; i++)
            excuse(&judge, i);
        spread(&judge);
        for (uint32_t i = 0; i < judge.threads; i++)
            judge.looks_stuck[i] = !waits_threads(scan->waits)[i].live;
        judge.strict = true;
        spread(&judge);
        r = report_all(&judge, is_stuck, true);
    }
    r = r ? r : report_all(&judge, looks_stuck, false);
    free(judge.looks_stuck);
    return r ? r : scan->graph->error;
}
