/* SPDX-License-Identifier: MIT */
/*
 * A signal that comes between our look at stop_asked() and the blocking call would be missed, so the handler
 * sets an alarm that interrupts again a second later; when even that does not help (a message is half moved and
 * its peer is stuck), the second alarm lets the process die.  So does a second signal, but not before the first alarm:
 * timeout(1) sends its signal to the process and to its group, and that is not impatience.
 */
#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
static volatile sig_atomic_t asked, alarms;

static void die(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}

static void on_stop(int number)
{
    if (asked && alarms)
        die(number);
    if (asked)
        return;
    asked = number;
    alarm(1);
}

static void on_alarm(int number)
{
    (void)number;
    if (++alarms > 1)
        die(asked);
    alarm(1);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void handle_all(void (*stopping)(int), void (*alarming)(int))
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN)
            handle(signals[i], stopping);
    }
    handle(SIGALRM, alarming);
}

void stop_catch(void)
{
    handle_all(on_stop, on_alarm);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to be told (EFBIG), not a death */
}

void stop_release(void)
{
    handle_all(SIG_DFL, SIG_DFL);
}

int stop_asked(void)
{
    return asked;
}

void stop_finish(void)
{
    alarm(0);
    alarms = 1;
}

void stop_ask(int number)
{
    asked = number;
}

int stop_end(int code)
{
    if (!asked)
        return code;
    stop_release();
    die(asked);
    return 128 + asked;
}
