/* SPDX-License-Identifier: MIT */
/* sight.h - what the verbs that look at the machine have in common: a snapshot, words for what is in it, and its gaps. */
#ifndef TOOL_SIGHT_SIGHT_H
#define TOOL_SIGHT_SIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "text.h"
#include "tong/inspect.h"

#define SIGHT_JSON_VERSION 1

/* A row of options: the field is called `plainly`. */
#define SIGHT_PLAINLY FLAG(plainly, "ask only /proc, though BPF be allowed")

static inline uint32_t sight_tier(bool plainly)
{
    return plainly ? TONG_LOOK_PLAINLY : 0;
}

/* Takes a snapshot: 0, or an exit code, said. */
int sight_take(uint32_t flags, tong_snapshot **ret);

/* What this process has used of the processor, in nanoseconds. */
int64_t sight_used(void);

/* How long to sleep until the next look, when one takes `cost` of the processor: `least`, or so long that looking takes
 * well below 2 %. */
int64_t sight_pause(int64_t least, int64_t cost);

/* "seen: 45 processes, 120 objects ...; not seen: ...": what every answer has to say with itself, on standard error. */
void sight_say_coverage(const tong_snapshot *snapshot);

/* The processes that a word means, by pid or by name, into a set of `tong_snapshot_processes()` marks: how many. */
size_t sight_find(const tong_snapshot *snapshot, const char *word, bool *marks);

/* Whether one of its ends is a marked process's. */
bool sight_touches(const tong_snapshot *snapshot, size_t object, const bool *marks);

/* "cat/1222", fit for a terminal. */
void sight_process(struct text *text, const tong_process *process);

/* The next of a list; what has the name of the one before it (NULL: none) is a number only: "postgres/8, 9, psql/10". */
void sight_next_process(struct text *text, const tong_process *process, const tong_process *before);

/* Whether it is of who waits in open(2) of a FIFO for somebody to open it the other way. */
bool sight_opens(const tong_end *end);

/* " (holds)", " (waits)": what an end is to a lock; " (waits in open)"; "" else. */
const char *sight_role(const tong_end *end);

/* What its users call it, or its key in brackets; fit for a terminal. */
void sight_object(struct text *text, const tong_object *object);

/* "0/64K, full, deleted": how full, and what its flags say. */
void sight_state(struct text *text, const tong_object *object);

/* Who is at it, senders first: "sh/1221 -> cat/1222". */
void sight_ends(struct text *text, const tong_snapshot *snapshot, size_t object);

/* Something that is connected to a process through an object. */
struct sight_link {
    uint32_t object;    /* to which its own end leads */
    uint32_t direction; /* TONG_SEND, TONG_RECEIVE, of our process; 0: neither or unknown */
    uint32_t other;     /* process */
    const tong_end *end;/* of the other */
};

/* Calls `each` with everybody who is connected to a process, an object at a time. */
void sight_links(const tong_snapshot *snapshot, uint32_t process,
                 void (*each)(void *context, const struct sight_link *link), void *context);

/* The snapshot as JSON (doc/json.md), with the objects and the findings that are marked (NULL: all). */
void sight_write_json(struct json *json, const tong_snapshot *snapshot, const bool *objects, const bool *findings);

/* The same, on standard output: 0 or an exit code. */
int sight_print_json(const tong_snapshot *snapshot, const bool *objects, const bool *findings);

/* What a user is called; NULL: unknown.  Lives until the next call. */
const char *sight_user(uint32_t uid);

/* "exact", "inferred", "unsure". */
const char *sight_certainty(uint32_t certainty);

#endif
