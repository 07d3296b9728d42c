/* SPDX-License-Identifier: MIT */
/* signal_arrival.h - what the kernel's account of a signal that came says. */
#ifndef CORE_SIGNAL_ARRIVAL_H
#define CORE_SIGNAL_ARRIVAL_H

#include <stdint.h>
#include <sys/types.h>

#include "tong/signal.h"

/* The fields that siginfo_t and signalfd_siginfo have in common. */
struct signal_account {
    int number, code, error;
    int32_t value;
    pid_t pid;
    uint32_t uid;
};

/* Async-signal-safe: the sender's start time stays 0. */
void signal_arrival(const struct signal_account *account, tong_signal_arrival *ret);

#endif
