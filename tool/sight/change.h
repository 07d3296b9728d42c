/* SPDX-License-Identifier: MIT */
/* change.h - what is different between two snapshots. */
#ifndef TOOL_SIGHT_CHANGE_H
#define TOOL_SIGHT_CHANGE_H

#include "sight/sight.h"

enum change_kind {
    CHANGE_MADE, CHANGE_BEGAN, CHANGE_FULL, CHANGE_ORPHAN, CHANGE_DEADLOCK, CHANGE_RESOLVED, CHANGE_DEATH, CHANGE_GONE,
    CHANGE_KINDS
};

/* One change.  Its places are of `snapshot`, the earlier one for what is no more; TONG_NOBODY: it is about none. */
struct change {
    enum change_kind kind;
    const tong_snapshot *snapshot;
    uint32_t object, process, finding;
};

/* "made"; and what a look has to see for it, TONG_LOOK_... */
const char *change_name(enum change_kind kind);
uint32_t change_needs(enum change_kind kind);

/* The kinds that "deadlock,full" names, as bits; 0: *ret_wrong begins with a word that is none. */
uint32_t change_kinds(const char *words, const char **ret_wrong);

/* Calls `each` with the changes of `kinds`, in the order of their kinds; false from it ends that.  0, or -ENOMEM. */
int change_find(const tong_snapshot *before, const tong_snapshot *after, uint32_t kinds,
                bool (*each)(void *context, const struct change *change), void *context);

/* Its object's kind, name, or key where it has no name, and address, as the kernel has them, with any byte; a name that
 * nobody has open is known from its finding.  "" where it has none. */
const char *change_object_kind(const struct change *change);
const char *change_object(const struct change *change);
const char *change_address(const struct change *change);

/* TONG_EXACT ... */
uint32_t change_certainty(const struct change *change);

/* All about it in one line: "fifo /tmp/f  0/64K  sh/12 -> cat/13"; fit for a terminal. */
void change_words(struct text *text, const struct change *change);

/* As one object (doc/json.md). */
void change_json(struct json *json, const struct change *change);

#endif
