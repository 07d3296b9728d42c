/* SPDX-License-Identifier: MIT */
/* demo.h - what the parts of `tong demo` share: the plan (plan.c), a run of one row (run.c), and the
 * processes that carry the file (cmd_demo_carry.c). */
#ifndef TOOL_DEMO_H
#define TOOL_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "directory.h"
#include "sha256.h"
#include "tong/mechanism.h"

/* What the two processes are to each other. */
enum relation { UNRELATED, PARENT_SENDS, PARENT_RECEIVES, SIBLINGS };

extern const char *const relation_words[];

/* The file, and where the demo's own names live: a directory of mode 0700, "" when there is none. */
struct source {
    const char *path;
    uint64_t size;
    char digest[SHA256_TEXT];
    char directory[DIRECTORY_MAX];
    char random_path[DIRECTORY_MAX + 8]; /* the file we made ourselves */
};

/* One way to carry the file. */
struct row {
    tong_mechanism_info mechanism;
    enum relation relation;
    char label[48];
    char address[400];
};

/* What the processes said of it. */
struct outcome {
    uint64_t bytes, messages;
    uint64_t sent, lost;         /* messages: as the sender counts, and as the receiver was told (TONG_MAY_LOSE) */
    char address[400];           /* where the sender finds the receiver, if the kernel chose it; else "" */
    int64_t start, ready, end;   /* CLOCK_MONOTONIC, nanoseconds */
    char digest[SHA256_TEXT];
    char failure[640];           /* "" when nothing failed */
    bool hashing;                /* the time includes the digest */
    int64_t switches;            /* context switches of both */
    bool ok;
};

/* Makes the directory, and in it the random file when `path` is NULL; counts and digests.  0 or an exit code. */
int source_open(struct source *source, const char *path);
void source_close(struct source *source);

/* The rows for the mechanisms that carry bytes; scheme NULL: all.  Returns how many were filled in. */
int plan_rows(const struct source *source, const char *scheme, struct row *rows, int most);

/* An address of this mechanism with a name that nobody has, where `word` of its form stands ("PATH"): false when we
 * cannot make one up. */
bool name_address(const tong_mechanism_info *mechanism, const struct source *source, const char *word, char *ret,
                  size_t size);

/* Makes sure the name is ours before anything is carried, and removes it afterwards. */
int row_prepare(const struct row *row, struct outcome *outcome);
void row_remove(const struct row *row);

/* Runs the row; `tick` is called a few times a second. */
void row_run(const struct row *row, const struct source *source, struct outcome *outcome, void (*tick)(void));

#endif
