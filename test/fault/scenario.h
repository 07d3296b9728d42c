/* SPDX-License-Identifier: MIT */
/* scenario.h - one conversation from open to close, in which any call may fail. */
#ifndef TEST_FAULT_SCENARIO_H
#define TEST_FAULT_SCENARIO_H

#include <stddef.h>
#include <stdint.h>

enum scenario_kind {
    SCENARIO_OPEN,
    SCENARIO_LISTEN,
    SCENARIO_PAIR,
    SCENARIO_SEMAPHORE,
    SCENARIO_REGION,
    SCENARIO_LOCK,
    SCENARIO_SIGNALS
};

struct scenario {
    const char *name;
    enum scenario_kind kind;
    const char *form;     /* the address: %s the mark or the path, or %d the key */
    uint32_t flags;       /* TONG_BOTH or 0 */
};

extern const struct scenario scenarios[];
extern const int scenarios_count;

/*
 * Opens, sends, waits, receives, finishes and closes; or maps, locks and describes.  Returns 0 or the first error; checks that every
 * error comes with words and that what was said to be sent arrives.
 */
int scenario_run(const struct scenario *scenario);

/* Removes what a run that failed could not. */
void scenario_remove(const struct scenario *scenario);

#endif
