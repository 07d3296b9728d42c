/* SPDX-License-Identifier: MIT */
/* program.h - other programs that a verb runs, and exits as they do. */
#ifndef TOOL_PROGRAM_H
#define TOOL_PROGRAM_H

#include <sys/types.h>

/* Becomes the program; when that fails, says why and returns CODE_NO_COMMAND or CODE_NOT_EXECUTABLE. */
int program_execute(char **argv);

/* Waits for a child that runs one: its status, 128 and the signal's number, or CODE_OWN_FAILURE. */
int program_wait(pid_t pid);

#endif
