/* SPDX-License-Identifier: MIT */
/* process.h - telling one process from a later one with the same number. */
#ifndef CORE_PROCESS_H
#define CORE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tong/base.h"

/* When the process started, in clock ticks after boot (proc(5), stat field 22); 0 if that cannot be read or
 * the process is a zombie, of which no thread is left. */
uint64_t process_start_time(pid_t pid);

/* Whether `pid` runs and started then.  start_time 0: any process of that number. */
bool process_alive(pid_t pid, uint64_t start_time);

/* Who did something last, as the kernel remembers: source TONG_IDENTITY_LAST; pid 0, nobody or not visible: unchanged. */
void process_name_last(pid_t pid, tong_identity *ret);

/* The pid namespace of this process, by its inode: pids of another are numbers of other processes here.  0: unknown. */
uint64_t process_pid_namespace(void);

/* This boot of the machine, as a number that no other has; 0: unknown. */
uint64_t process_boot(void);

/* How many forks lie between the process that loaded the library and this one: asking costs one load.
 * fork_watch() must have been called (once a process; any thread) before the first fork that is to count. */
extern unsigned fork_generation;
void fork_watch(void);

#endif
