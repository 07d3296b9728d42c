/* SPDX-License-Identifier: MIT */
/*
 * si_code says which of the other fields mean anything (sigaction(2)).  A sigqueue(3) may claim any pid and uid, so even
 * where the kernel has filled them in they are no more than claimed; and any code below 0, so that none of
 * those is the kernel's word.  A process outside of our pid namespace is pid 0,
 * and so is a standard signal whose account found no room.
 */
#include "core/signal_arrival.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

static const struct { int code; uint32_t origin; bool value, sender; } codes[] = {
    { SI_USER, TONG_SIGNAL_FROM_PROCESS, false, true },    /* kill(2) */
    { SI_TKILL, TONG_SIGNAL_FROM_PROCESS, false, true },   /* pthread_kill(3) */
    { SI_QUEUE, TONG_SIGNAL_FROM_PROCESS, true, true },    /* sigqueue(3), and ours */
    { SI_MESGQ, TONG_SIGNAL_FROM_PROCESS, true, true },    /* mq_notify(3) */
    { SI_ASYNCIO, TONG_SIGNAL_FROM_PROCESS, true, true },  /* aio_read(3) of glibc */
    { SI_TIMER, TONG_SIGNAL_FROM_TIMER, true, false },     /* timer_create(2) */
};

void signal_arrival(const struct signal_account *account, tong_signal_arrival *ret)
{
    *ret = (tong_signal_arrival)TONG_SIGNAL_ARRIVAL_INIT;
    ret->number = account->number;
    ret->code = account->code;
    ret->origin = account->code > 0 ? TONG_SIGNAL_FROM_KERNEL : TONG_SIGNAL_FROM_PROCESS;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code != account->code)
            continue;
        ret->origin = codes[i].origin;
        if (codes[i].value && account->error != ENODATA) {
            ret->flags = TONG_SIGNAL_VALUE;
            ret->value = account->value;
        }
        if (codes[i].sender && account->pid > 0) {
            ret->sender.source = TONG_IDENTITY_CLAIMED;
            ret->sender.pid = account->pid;
            ret->sender.uid = account->uid;
        }
    }
}
