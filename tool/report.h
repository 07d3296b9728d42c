/* SPDX-License-Identifier: MIT */
/* report.h - what the command says on standard error, and the code it exits with. */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

enum {
    CODE_DONE = 0,
    CODE_FAILED = 1,
    CODE_USAGE = 2,
    CODE_TIMEOUT = 3,
    CODE_GONE = 4,
    CODE_DENIED = 5,
    CODE_MISSING = 6,
    CODE_FULL = 7,
    CODE_FINDINGS = 8,
    CODE_INCOMPLETE = 9,
    CODE_TAKEN = 124,       /* verbs that run a command: what it waits for was not to be had, as timeout(1) */
    CODE_OWN_FAILURE = 125,
    CODE_NOT_EXECUTABLE = 126,
    CODE_NO_COMMAND = 127
};

/* The verb that every line names. */
void report_verb(const char *verb);

/* One line on standard error, "tong VERB: ...", with control characters escaped. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says what was wrong and where help is; returns CODE_USAGE. */
int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says the library's detail and returns the code of `error`, a negative errno.  `what` (or NULL) comes first. */
int fail_library(int error, const char *what);

/* Says `what` and the words of `error`, a negative errno of a system call, and returns its code. */
int fail_system(int error, const char *what);

int exit_code(int error);

/* The exit codes in words, for --help: NULL past the last. */
const char *exit_code_words(int index, int *ret_code);

#endif
