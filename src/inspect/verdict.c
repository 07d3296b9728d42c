/* SPDX-License-Identifier: MIT */
/* Findings of threads that nobody can wake: who belongs together, and what is said of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/judge.h"

struct group {
    uint32_t *thread;
    uint32_t count;
};

typedef bool (*member_of)(const struct judge *judge, uint32_t thread);

static bool is_stuck(const struct judge *judge, uint32_t thread)
{
    return judge->looks_stuck[thread] && !waits_threads(judge->waits)[thread].live;
}

static bool waits_for_stopped(const struct judge *judge, uint32_t thread)
{
    const struct thread_seen *seen = &waits_threads(judge->waits)[thread];
    return !judge->looks_stuck[thread] && !seen->live && !seen->stopped;
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

/* Descriptors that are sent through sockets are not followed: whoever cannot be seen may have what can be sent. */
static bool is_concluded(const struct judge *judge, const struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const struct thread_seen *thread = &waits_threads(judge->waits)[group->thread[i]];
        for (uint32_t j = thread->first; j < thread->first + thread->count; j++) {
            const struct wait_fact *fact = &waits_facts(judge->waits)[j];
            if (fact->inferred || (judge->any_hidden && fact->hideable))
                return true;
        }
    }
    return false;
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

static int64_t pid_of(const struct judge *judge, uint32_t thread)
{
    return judge_process(judge, waits_threads(judge->waits)[thread].process)->pid;
}

/* "cat 77", "cat 77 and sort 78", "cat 77, sort 78 and 3 more" */
static const char *names_of(struct judge *judge, const struct group *group)
{
    char first[96], second[96] = "";
    proof_thread(judge->scan, group->thread[0], first, sizeof first);
    if (group->count == 1)
        return graph_text(judge->graph, first);
    proof_thread(judge->scan, group->thread[1], second, sizeof second);
    if (group->count == 2)
        return graph_format(judge->graph, "%s and %s", first, second);
    return graph_format(judge->graph, "%s, %s and %u more", first, second, group->count - 2);
}

/* What is said of a group, by the kind of the finding. */
static void describe_stuck(struct judge *judge, const struct group *group, tong_finding *ret)
{
    const char *names = names_of(judge, group);
    ret->certainty = is_concluded(judge, group) ? TONG_INFERRED : TONG_EXACT;
    ret->summary = graph_format(judge->graph, group->count == 1 ? "%s waits, and nobody is left who could wake it"
                                                                : "%s wait, and nobody can wake them", names);
    ret->advice = graph_format(judge->graph, group->count == 1
                               ? "end it (kill %lld), and then look why nobody is left who could wake it"
                               : "end one of them (kill %lld), and then look why it took what it holds",
                               (long long)pid_of(judge, group->thread[0]));
}

static void describe_unsure(struct judge *judge, const struct group *group, tong_finding *ret)
{
    ret->certainty = TONG_UNSURE;
    ret->summary = graph_format(judge->graph, group->count == 1
                                ? "%s waits, and nobody is left who could wake it, as far as can be seen"
                                : "%s wait, and nobody can wake them, as far as can be seen", names_of(judge, group));
    ret->advice = judge->any_hidden ? "look again as root: somebody whose descriptors may not be seen could still wake them"
                                    : "look again later: somebody who comes anew could still wake them";
}

static bool is_stopped(void *context, uint32_t thread)
{
    struct gathering *gathering = context;
    bool stopped = waits_threads(gathering->judge->waits)[thread].stopped;
    gathering->group->thread[0] = stopped ? thread : gathering->group->thread[0];
    return stopped;
}

/* One of those who hold up the group. */
static uint32_t stopped_before(const struct judge *judge, const struct group *group)
{
    uint32_t found = group->thread[0];
    struct group holder = { &found, 1 };
    struct gathering gathering = { judge, &holder, NULL, NULL };
    for (uint32_t i = 0; i < group->count; i++)
        if (each_waker(judge, group->thread[i], is_stopped, &gathering))
            break;
    return found;
}

static void describe_stopped(struct judge *judge, const struct group *group, tong_finding *ret)
{
    char name[96];
    uint32_t holder = stopped_before(judge, group);
    const tong_process *process = judge_process(judge, waits_threads(judge->waits)[holder].process);
    proof_thread(judge->scan, holder, name, sizeof name);
    ret->certainty = is_concluded(judge, group) ? TONG_INFERRED : TONG_EXACT;
    ret->summary = graph_format(judge->graph, "%s wait%s for %s, which is stopped", names_of(judge, group),
                                group->count == 1 ? "s" : "", name);
    ret->advice = process->tracer
        ? graph_format(judge->graph, "let it go on in its debugger (%lld), or end it", (long long)process->tracer)
        : graph_format(judge->graph, "let it go on (kill -CONT %lld), or end it", (long long)process->pid);
}

static const struct verdict {
    uint32_t kind;
    uint32_t flag; /* of its waits */
    member_of member;
    void (*describe)(struct judge *judge, const struct group *group, tong_finding *ret);
} verdicts[] = {
    { TONG_FINDING_STUCK, TONG_WAIT_STUCK, is_stuck, describe_stuck },
    { TONG_FINDING_UNSURE, TONG_WAIT_UNKNOWN, looks_stuck, describe_unsure },
    { TONG_FINDING_STOPPED, 0, waits_for_stopped, describe_stopped },
};

static void report(struct judge *judge, const struct group *group, const struct verdict *verdict)
{
    uint32_t first = waits_threads(judge->waits)[group->thread[0]].first;
    tong_finding finding = {
        .kind = verdict->kind, .object = graph_waits(judge->graph)[first].object,
        .first_wait = (uint32_t)judge->graph->stuck.count, .proof = proof_of(judge->scan, group->thread, group->count),
    };
    verdict->describe(judge, group, &finding);
    finding.waits = keep_waits(judge, group, verdict->flag);
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
static int report_all(struct judge *judge, const struct verdict *verdict)
{
    member_of member = verdict->member;
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
        report(judge, &group, verdict);
    }
    free(circle);
    free(group.thread);
    free(members.taken);
    free(members.thread);
    return r;
}

int judge_report(struct judge *judge, uint32_t kind)
{
    const struct verdict *verdict = verdicts;
    while (verdict->kind != kind)
        verdict++;
    return report_all(judge, verdict);
}
