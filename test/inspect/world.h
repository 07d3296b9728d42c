/* SPDX-License-Identifier: MIT */
/*
 * world.h - a machine of the test's own: namespaces of processes, mounts, networks and System V objects in which nobody is
 * but who the test starts, so that a look there is small, and the same each time.
 */
#ifndef TEST_INSPECT_WORLD_H
#define TEST_INSPECT_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "tong/inspect.h"

/* Whether this user may make one here. */
bool world_is_possible(void);

/* Runs fn(argument) as a child of process 1 of a new one, with proc(5), and /dev/shm, /run and /tmp empty. */
void world_run(void (*fn)(int), int argument);

/* A child with that number, which nobody must have: -1, this kernel gives no numbers. */
pid_t world_fork_as(pid_t pid);

/* Before the nth system call of the library from now (0: the next) `then` is called, once.  NULL: nothing is. */
void world_at_call(unsigned nth, void (*then)(void));
/* Whether it was; then nothing is called any more. */
bool world_was_called(void);

const tong_process *world_process(const tong_snapshot *snapshot, pid_t pid);

#endif
