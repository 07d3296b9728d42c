/* SPDX-License-Identifier: MIT */
/* probe.h - a source of facts: reads one part of the kernel's books into the graph, and what it may not read into gaps. */
#ifndef INSPECT_PROBE_H
#define INSPECT_PROBE_H

#include "inspect/graph.h"
#include "inspect/proc.h"

enum { SCAN_PID, SCAN_NETWORK, SCAN_IPC, SCAN_MOUNT, SCAN_NAMESPACES }; /* as in tong_process */

#define SCAN_FIRST_PIDS 0xEFFFFFFC /* PROC_PID_INIT_INO: the pid namespace of the whole machine */

/* Whether somebody sleeps until an object can be read, or written: enum sleeper_seen of bpf/look.h. */
struct sleepers {
    uint8_t reading, writing;
};

struct scan {
    tong_look look;
    uint64_t namespaces[SCAN_NAMESPACES]; /* the caller's own */
    uint64_t boot_time;                   /* seconds of the epoch */
    struct proc proc;
    struct tong_snapshot *graph;
    struct graph_array identities;        /* of the directories of processes: probe_process.c */
    struct locks *locks;                  /* of the whole machine: locks.h */
    struct waits *waits;                  /* waits.h; NULL: not asked for */
    struct kernel *kernel;                /* kernel.h; NULL: only /proc is asked, for this reason: */
    const char *kernel_refusal;
    struct kernel_process *listed;        /* kernel_process.c; none where only /proc is asked, as of undos */
    size_t listed_count;
    struct undo_seen *undos;              /* bpf/look.h */
    size_t undos_count;
    struct graph_array devices;           /* of which file systems are: memory.c */
    struct call_seen *calls;              /* what threads were in before descriptors were looked at: kernel_wait.c */
    size_t calls_count;
    struct sleepers *sleepers;            /* of each object that was there by then: kernel_descriptor.c; NULL: unknown */
    size_t sleepers_count;
};

/* 0, also when little could be seen, or what ends the scan.  A process that is gone meanwhile is no failure. */
struct probe {
    const char *name;
    int (*run)(struct scan *scan);       /* NULL: without BPF nobody knows */
    int (*by_kernel)(struct scan *scan); /* in its place, where BPF can be used; NULL: there is none */
    uint32_t asked; /* TONG_LOOK_... without which it is left out */
};

/* Whether /proc/PID, which is open as `directory`, is still that process: its number may be another's by now.  -ESRCH: it
 * is not; else why that is not known. */
int process_is_still(struct scan *scan, int directory, uint32_t number);
/* The same without a directory: then everything that was read by its number until now was its own. */
int process_was_there(struct scan *scan, uint32_t number);
/* Looks at the directories of all, for those two; that the numbers are still theirs the caller has to know afterwards. */
int process_identify_all(struct scan *scan);

/* Who began since processes were listed, and from whom of those it descends: 0 from nobody, else the pid of one who is not
 * known either. */
struct newcomer {
    int64_t pid, ancestor;
};
int processes_since(struct scan *scan, struct graph_array *ret);

/* Whether it had begun by then, in seconds of the epoch: else its number was another's. */
bool process_had_begun(const struct scan *scan, uint32_t number, uint64_t seconds);

/* Where below /proc/PID, open as `directory`, that part of it ("fd", "maps") is found: with a thread that has not ended. */
void process_part(struct scan *scan, int directory, uint32_t number, const char *part, char *ret, size_t size);

/* The command line in that file of /proc, which lives until the next reading. */
void process_read_command(struct scan *scan, int directory, const char *name, tong_process *process);

int probe_own(struct scan *scan);
int probe_unix(struct scan *scan);
int probe_inet(struct scan *scan);
int probe_networks(struct scan *scan);
int probe_inet_peers(struct scan *scan);
int probe_processes(struct scan *scan);
int probe_sysv(struct scan *scan);
int probe_names(struct scan *scan);
int probe_lock_list(struct scan *scan);
int probe_locks(struct scan *scan);
int probe_maps(struct scan *scan);
int probe_channels(struct scan *scan);
int probe_descriptions(struct scan *scan);
int probe_depths(struct scan *scan);
int probe_orphans(struct scan *scan);
int probe_descriptors(struct scan *scan);
int probe_waits(struct scan *scan);
int probe_lock_waiters(struct scan *scan);

/* What is concluded once all is seen and ends are in order: they add findings. */
int find_stuck(struct scan *scan);
int find_objects(struct scan *scan);
int find_leftovers(struct scan *scan);

void waits_free(struct waits *waits);

#endif
