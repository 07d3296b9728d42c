/* SPDX-License-Identifier: MIT */
/*
 * stop.h - ending in order when a signal asks for it: names removed, children reaped, places in shared memory
 * given back, and then death by that very signal, so that a shell sees what happened.
 */
#ifndef TOOL_STOP_H
#define TOOL_STOP_H

/* From now on SIGINT, SIGTERM, SIGHUP and SIGPIPE end blocking calls with -EINTR and stop_asked() says which; SIGXFSZ
 * is ignored. */
void stop_catch(void);

/* Back to the default: a signal ends the process at once. */
void stop_release(void);

/* The signal that asked, or 0. */
int stop_asked(void);

/* What is left to do may take its time, although a signal asked; another one ends it at once. */
void stop_finish(void);

/* Asks, as the signal would. */
void stop_ask(int signal);

/* Dies of the signal that asked; returns `code` when none did. */
int stop_end(int code);

#endif
