/* SPDX-License-Identifier: MIT */
/* chosen.h - the processes and objects that the words of a command line mean, and which of the processes still live. */
#ifndef TOOL_SIGHT_CHOSEN_H
#define TOOL_SIGHT_CHOSEN_H

#include "sight/naming.h"

struct chosen_channel {
    char *name, *key;
    uint64_t identity, passed; /* bytes when it began */
};

struct chosen {
    int64_t *pid;             /* as they were chosen; then those that live */
    size_t pids, pid_room;
    size_t *object;           /* indices into the snapshot */
    size_t objects, object_room;
    bool processes_only;      /* and so it is over when they are gone */
    struct chosen_channel *channel; /* of tong, in memory */
    size_t channels, channel_room;
};

/* Finds each word; `children`: with all that they started.  0 or an exit code, said. */
int chosen_find(struct chosen *chosen, const tong_snapshot *snapshot, int count, char **words, bool children);
void chosen_free(struct chosen *chosen);

/* "tracing 2 processes", on standard error, with what cannot be seen of channels in memory. */
void chosen_say(const struct chosen *chosen);

/* A process begins or ends; and which of them have ended without being told. */
void chosen_begins(struct chosen *chosen, int64_t pid);
void chosen_ends(struct chosen *chosen, int64_t pid);
void chosen_check(struct chosen *chosen);
bool chosen_is_over(const struct chosen *chosen);

/* How many bytes went through each of the channels in memory since then (TONG_UNKNOWN): 0 or an exit code, said. */
int chosen_progress(const struct chosen *chosen, struct naming *naming,
                    void (*each)(void *context, const struct chosen_channel *channel, uint64_t bytes), void *context);

#endif
