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
 *
 * Who is stopped counts as live in both, for it can go on at any time.  A third round takes all that for dead, and who is
 * left only then waits for who is stopped.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "inspect/judge.h"
#include "sys/sys.h"

#define GENERATIONS 256       /* of ancestors */
#define LIBC_SIGNALS (UINT64_C(3) << 31) /* 32 and 33, which libc catches for its own use */

/* ---- Who cannot be seen ----------------------------------------------------------------------------------- */

static uint32_t parent_of(const struct judge *judge, uint32_t process)
{
    int64_t parent = judge_process(judge, process)->parent;
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

/* From the first process everybody descends, and orphans become its children: that says nothing. */
static bool hands_down(const struct judge *judge, uint32_t elder, uint32_t process)
{
    return elder == process || (parent_of(judge, elder) != TONG_NOBODY && is_ancestor(judge, elder, process));
}

/*
 * A newcomer has what its ancestor had when it began: one who waits, or who could end that, or from whom they descend.  One
 * whose ancestor is not known may descend from anybody; who came from outside, from nobody here.
 */
static bool could_be_newcomer(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    const struct newcomer *newcomers = judge->newcomers.item;
    const struct waker *wakers = waits_wakers(judge->waits) + fact->first;
    for (size_t i = 0; i < judge->newcomers.count; i++) {
        uint32_t elder = graph_process(judge->graph, newcomers[i].ancestor);
        bool related = newcomers[i].ancestor != 0 && (elder == TONG_NOBODY || hands_down(judge, elder, process));
        for (uint32_t k = 0; k < fact->count && elder != TONG_NOBODY && !related; k++)
            related = hands_down(judge, elder, wakers[k].process);
        if (related)
            return true;
    }
    return false;
}

static bool has_newcomer(const struct judge *judge, int64_t parent)
{
    const struct newcomer *newcomers = judge->newcomers.item;
    for (size_t i = 0; i < judge->newcomers.count; i++)
        if (newcomers[i].ancestor == parent)
            return true;
    return false;
}

/*
 * What has no name is handed down from parent to child (or through a socket, which is not followed).  So a process that
 * cannot be seen has it only if it is of the same family, whose head, which made it, may have let go of it.
 */
static bool could_be_hidden(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    if (fact->rule == RULE_CHILDREN)
        return has_newcomer(judge, judge_process(judge, process)->pid);
    if (!fact->hideable)
        return false;
    if (!judge->any_hidden)
        return could_be_newcomer(judge, process, fact);
    uint32_t head = family_of(judge, process, fact);
    head = head == TONG_NOBODY ? head : parent_of(judge, head);
    if (head == TONG_NOBODY || judge_process(judge, head)->flags & TONG_PROCESS_HIDDEN)
        return true;
    for (uint32_t i = 0; i < judge->graph->processes.count; i++)
        if (judge_process(judge, i)->flags & TONG_PROCESS_HIDDEN && is_ancestor(judge, head, i))
            return true;
    return could_be_newcomer(judge, process, fact);
}

/* ---- Liveness --------------------------------------------------------------------------------------------- */

/* Of whom no thread was seen.  A known waker that cannot be looked at is taken for live: its clients are no finding. */
static bool lives_unseen(const struct judge *judge, uint32_t process)
{
    bool seen = judge->waits->first_thread[process] != judge->waits->first_thread[process + 1];
    return !seen && !(judge_process(judge, process)->flags & TONG_PROCESS_ZOMBIE);
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

/* Who has no parent but the first process has no family that would be known. */
static bool has_live_relative(const struct judge *judge, uint32_t process)
{
    const bool *live = judge->waits->live;
    uint32_t parent = parent_of(judge, process);
    if (parent == TONG_NOBODY || judge_process(judge, parent)->pid == 1 || live[parent] || live[process])
        return true;
    for (uint32_t i = 0; i < judge->graph->processes.count; i++) {
        uint32_t other = live[i] ? parent_of(judge, i) : TONG_NOBODY;
        if (other == parent || other == process)
            return true;
    }
    return false;
}

/* By somebody of whom nothing is known but that he could be. */
static bool could_be_woken(const struct judge *judge, uint32_t process, const struct wait_fact *fact)
{
    return fact->doubtful || could_be_hidden(judge, process, fact) ||
           (fact->in_family && has_live_relative(judge, process));
}

static bool is_live(const struct judge *judge, const struct thread_seen *thread)
{
    bool live = thread->certain || thread->count == 0;
    if (thread->stopped)
        return !judge->stopping;
    for (uint32_t i = thread->first; i < thread->first + thread->count && !live; i++) {
        const struct wait_fact *fact = &waits_facts(judge->waits)[i];
        live = is_woken(judge, fact) || (judge->strict && could_be_woken(judge, thread->process, fact));
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
    int r = has_time_limit(judge_process(judge, wait->process)->pid, fact->fd, wait->direction);
    fact->doubtful |= r < 0;
    if (r < 0)
        graph_gap(judge->graph, "time limits of sockets", "not permitted to this user");
    if (r <= 0)
        return;
    wait->flags |= TONG_WAIT_TIMED;
    waits_threads(judge->waits)[fact->thread].certain = true;
}

/* Where nobody can say on which file it sleeps, another thread may have given the number to another since. */
static void ask_number(struct judge *judge, uint32_t number)
{
    tong_wait_seen *wait = &graph_waits(judge->graph)[number];
    struct wait_fact *fact = &waits_facts(judge->waits)[number];
    const uint32_t *first = &judge->waits->first_thread[wait->process];
    int64_t pid = judge_process(judge, wait->process)->pid;
    if (!fact->by_number || (first[1] - first[0] == 1 && thread_was_always_alone(judge->scan, pid, wait->thread)))
        return;
    fact->inferred = true;
    wait->certainty = TONG_INFERRED;
}

/* Who sleeps may have left it to a child to wake it that was not there yet when processes were listed. */
static int ask_again(struct judge *judge)
{
    bool any = false;
    for (uint32_t i = 0; i < judge->threads; i++) {
        struct thread_seen *thread = &waits_threads(judge->waits)[i];
        if (thread->live || thread->stopped)
            continue;
        any = true;
        int64_t pid = judge_process(judge, thread->process)->pid;
        thread->certain = thread_mark(judge->scan, pid, thread->tid) != thread->mark ||
                          process_was_there(judge->scan, thread->process) < 0;
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++) {
            ask_socket(judge, j);
            ask_number(judge, j);
        }
    }
    return any ? processes_since(judge->scan, &judge->newcomers) : 0;
}

/* Who shows system calls (strace) stops at each and waits for the next stop; a debugger at its prompt waits for its user. */
static bool debugger_waits(struct judge *judge, int64_t pid)
{
    uint32_t process = graph_process(judge->graph, pid);
    uint32_t first = process == TONG_NOBODY ? 0 : judge->waits->first_thread[process];
    uint32_t end = process == TONG_NOBODY ? 0 : judge->waits->first_thread[process + 1];
    for (uint32_t i = first; i < end; i++) {
        const struct thread_seen *thread = &waits_threads(judge->waits)[i];
        if (!thread->mark || thread_mark(judge->scan, pid, thread->tid) != thread->mark)
            return false;
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++)
            if (waits_facts(judge->waits)[j].children)
                return false;
    }
    return first < end;
}

static bool stays_stopped(struct judge *judge, const struct thread_seen *thread)
{
    const tong_process *process = judge_process(judge, thread->process);
    int64_t pid = process->pid, tracer = process->tracer;
    return thread_turns(judge->scan, pid, thread->tid) == thread->turns && (!tracer || debugger_waits(judge, tracer));
}

/* Who has run meanwhile was stopped for a moment only.  Whether any stays. */
static bool ask_stopped(struct judge *judge)
{
    bool any = false;
    for (uint32_t i = 0; i < judge->threads; i++) {
        struct thread_seen *thread = &waits_threads(judge->waits)[i];
        if (!thread->stopped)
            continue;
        thread->stopped = stays_stopped(judge, thread);
        thread->certain |= !thread->stopped;
        any |= thread->stopped;
    }
    return any;
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
    bool own = first < end && judge_process(judge, process)->signals_caught & ~LIBC_SIGNALS, idle = true;
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

/* ---- All of it -------------------------------------------------------------------------------------------- */

static int judge_all(struct judge *judge)
{
    spread(judge);
    int r = ask_again(judge);
    spread(judge);
    for (uint32_t i = 0; i < judge->graph->processes.count; i++)
        excuse(judge, i);
    spread(judge);
    for (uint32_t i = 0; i < judge->threads; i++)
        judge->looks_stuck[i] = !waits_threads(judge->waits)[i].live;
    judge->strict = true;
    spread(judge);
    return r;
}

/* What waits for who is stopped is asked once more, too. */
static int judge_stopped(struct judge *judge)
{
    judge->stopping = ask_stopped(judge);
    if (!judge->stopping)
        return 0;
    spread(judge);
    int r = ask_again(judge);
    spread(judge);
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
    r = r ? r : judge_all(&judge);
    r = r ? r : judge_report(&judge, TONG_FINDING_STUCK);
    r = r ? r : judge_report(&judge, TONG_FINDING_UNSURE);
    r = r ? r : judge_stopped(&judge);
    r = r ? r : judge_report(&judge, TONG_FINDING_STOPPED);
    free(judge.looks_stuck);
    free(judge.newcomers.item);
    return r ? r : scan->graph->error;
}
