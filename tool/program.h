/* SPDX-License-Identifier: MIT */
/* program.h - other programs that a verb runs, and exits as they do. */
#ifndef TOOL_PROGRAM_H
#define TOOL_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

#define PROGRAMS_MAX 2

/* As fork(2); *ret_pid is 0 in the child.  A signal that would end us waits from now on until program_wait() knows for
 * whom it is.  0, or CODE_OWN_FAILURE after saying why. */
int program_fork(pid_t *ret_pid);

/* Becomes the program; when that fails, says why and returns CODE_NO_COMMAND or CODE_NOT_EXECUTABLE. */
int program_execute(char **argv);

/*
 * Waits for children that run programs.  What is sent to this process alone (SIGTERM, SIGHUP) is passed on to them;
 * what a terminal sends reaches them too, and they decide what follows.  Returns what the last says: its status, 128
 * and the signal's number, or CODE_OWN_FAILURE.
 */
int program_wait(const pid_t *pids, size_t count);

#endif
