/* SPDX-License-Identifier: MIT */
/*
 * naming.h - what the objects of a trace are called, and who is at them: known from snapshots, which are taken again,
 * but not often, when an object turns up that none of them has; and kept when it is gone.
 */
#ifndef TOOL_SIGHT_NAMING_H
#define TOOL_SIGHT_NAMING_H

#include "sight/sight.h"
#include "tong/trace.h"

#define NAMED_ENDS 6

struct named_end {
    int64_t pid;
    uint32_t direction;
    char name[16];
};

struct named {
    tong_trace_object object;
    const char *kind;               /* "pipe" */
    char *name;                     /* as its users call it; NULL: it has none, or was never seen in a snapshot */
    uint64_t group;                 /* equal in both ends of a connection */
    struct named_end end[NAMED_ENDS]; /* of what is put into it, and taken out */
    size_t ends;
    unsigned look;                  /* the last snapshot that was asked */
};

struct naming;

/* Takes a snapshot: 0, or an exit code, said. */
int naming_begin(struct naming **ret);
void naming_end(struct naming *naming);

/* The last snapshot, and a newer one: 0 or an exit code, said. */
const tong_snapshot *naming_snapshot(const struct naming *naming);
int naming_again(struct naming *naming);

/* Lives until the next call with another object. */
const struct named *naming_of(struct naming *naming, const tong_trace_object *object);

/* "[918273]" where it has no name; fit for a terminal. */
void naming_object(struct text *text, const struct named *named);

/* Who else is at it that gets what process `pid` sends, or sends what it gets: "cat/4243, tee/4244". */
void naming_others(struct text *text, const struct named *named, int64_t pid, uint32_t direction);

/* "cat/4243"; "cat/?" of another pid namespace; "an interrupt" without a name; fit for a terminal. */
void naming_process(struct text *text, const char *name, int64_t pid);

#endif
