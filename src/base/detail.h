/* SPDX-License-Identifier: MIT */
/* detail.h - the calling thread's last failure in words; the other half of every negative errno. */
#ifndef BASE_DETAIL_H
#define BASE_DETAIL_H

#define DETAIL_SIZE 640

/*
 * Remembers why, and returns `error`, a negative errno, so that a failure is one line:
 *     return fail(-EEXIST, "%s exists and is not a FIFO: choose another name or remove it", path);
 * The text says which call, on what, why, and what to do next; at most DETAIL_SIZE - 1 bytes are kept.
 */
int fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* The same for failures that are ordinary on hot paths (would block, timed out): keeps a pointer to static
 * text and formats nothing. */
int fail_static(int error, const char *text) __attribute__((cold));

/* fail() for a system call: appends strerror(-error). */
int fail_call(int error, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

#endif
