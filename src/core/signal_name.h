/* SPDX-License-Identifier: MIT */
/* signal_name.h - this machine's signals: their names, and what POSIX and the kernel say of each. */
#ifndef CORE_SIGNAL_NAME_H
#define CORE_SIGNAL_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define SIGNAL_NAME_SIZE 16 /* of the longest name, with its NUL */

struct signal_row {
    int number;
    const char *name;      /* "USR1" */
    uint32_t action;       /* TONG_SIGNAL_TERMINATE ... */
    uint32_t origins;      /* TONG_SIGNAL_FROM_... */
    const char *summary;
};

/* "USR1", "SIGUSR1", "RTMIN+3", "RTMAX-1", "10", in any case: the number, or -EINVAL with words. */
int signal_number(const char *text);

/* "USR1", "RTMIN+3"; "32" for what libc keeps for itself. */
void signal_name(int number, char ret[SIGNAL_NAME_SIZE]);

/* What is known of a signal; all real-time ones share a row.  NULL: there is no such signal, or libc keeps it. */
const struct signal_row *signal_row(int number);

/* Kept by libc for its threads: between the standard signals and SIGRTMIN. */
bool signal_reserved(int number);

bool signal_real_time(int number);

/* Cannot be handled, ignored or blocked. */
bool signal_fixed(int number);

/* A signal in a set of them: bit number - 1, as in /proc/PID/status. */
static inline uint64_t signal_bit(int number)
{
    return UINT64_C(1) << (number - 1);
}

#endif
