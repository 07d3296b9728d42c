/* SPDX-License-Identifier: MIT */
/* trace_state.h - the maps of the program "trace", and whom it is to look at. */
#ifndef TRACE_STATE_H
#define TRACE_STATE_H

#include "kernel_trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/trace.h"

#define MAP(map, sort, keys, values, most) \
    struct {                               \
        __uint(type, sort);                \
        __uint(max_entries, most);         \
        __type(key, keys);                 \
        __type(value, values);             \
    } map SEC(".maps")

MAP(settings, BPF_MAP_TYPE_ARRAY, __u32, struct trace_settings, 1);
MAP(calls, BPF_MAP_TYPE_ARRAY, __u32, struct trace_call, TRACE_CALLS);
MAP(processes, BPF_MAP_TYPE_HASH, __u32, __u32, 65536);
MAP(objects, BPF_MAP_TYPE_HASH, struct trace_place, __u32, 4096);
MAP(names, BPF_MAP_TYPE_HASH, struct trace_name, __u32, 64);
MAP(ports, BPF_MAP_TYPE_HASH, struct trace_port, __u32, 64);
MAP(counts, BPF_MAP_TYPE_HASH, struct trace_count_key, struct trace_count, TRACE_COUNTS);
MAP(pairs, BPF_MAP_TYPE_HASH, struct trace_pair_key, struct trace_pair, 16384);
MAP(lost, BPF_MAP_TYPE_ARRAY, __u32, struct trace_lost, 1);
MAP(interrupts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u32, 1);

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 8 << 20);
} ring SEC(".maps");

static const __u32 only;

static __always_inline const struct trace_settings *settings_now(void)
{
    return bpf_map_lookup_elem(&settings, &only);
}

#define ADD_TO_LOST(member, amount)                                     \
    do {                                                                \
        struct trace_lost *lost_now = bpf_map_lookup_elem(&lost, &only); \
        if (lost_now)                                                   \
            __sync_fetch_and_add(&lost_now->member, amount);            \
    } while (0)

static __always_inline struct task_struct___t *current_task(void)
{
    return (struct task_struct___t *)bpf_get_current_task();
}

/* The number that the pid namespace `space` has for a struct pid; 0: none.  Not static, so that it is verified once. */
__noinline __u32 number_in(__u64 at, __u32 space)
{
    const struct pid *pid = (const struct pid *)at;
    const char *numbers = (const char *)&pid->numbers;
    __u32 level = BPF_CORE_READ(pid, level);
    for (__u32 i = 0; i < 32 && i <= level; i++) {
        struct upid number;
        if (bpf_probe_read_kernel(&number, sizeof number, numbers + i * sizeof number) == 0 &&
            BPF_CORE_READ(number.ns, ns.inum) == space)
            return (__u32)number.nr;
    }
    return 0;
}

static __always_inline __u32 process_of(const struct trace_settings *set, const struct task_struct___t *of)
{
    return set->space ? number_in((__u64)BPF_CORE_READ(of, signal, pids[1]), set->space) :
                        (__u32)BPF_CORE_READ(of, tgid);
}

/* Of the running one, for the first namespace without reading it. */
static __always_inline __u32 own_process(const struct trace_settings *set)
{
    return set->space ? process_of(set, current_task()) : (__u32)(bpf_get_current_pid_tgid() >> 32);
}

static __always_inline __u32 thread_of(const struct trace_settings *set, const struct task_struct___t *of)
{
    return set->space ? number_in((__u64)BPF_CORE_READ(of, thread_pid), set->space) : (__u32)BPF_CORE_READ(of, pid);
}

static __always_inline __u32 wanted(const struct trace_settings *set, __u32 process)
{
    if (process == set->self || process == 0) /* 0: of another pid namespace */
        return 0;
    if (set->flags & TRACE_EVERYTHING)
        return TRACE_MESSAGES | TRACE_PAIRS;
    const __u32 *flags = bpf_map_lookup_elem(&processes, &process);
    return flags ? *flags : 0;
}

static __always_inline void name_of(const struct task_struct___t *of, char ret[TRACE_NAME])
{
    const struct task_struct___t *leader = BPF_CORE_READ(of, group_leader);
    bpf_probe_read_kernel_str(ret, TRACE_NAME, &leader->comm);
}

#endif
