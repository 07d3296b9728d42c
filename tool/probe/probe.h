/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what `tong explain` measures on this machine while somebody waits.  A probe makes its own objects
 * and leaves none behind, needs no right that a user lacks, and is done in less than 0.3 seconds.  Its figures
 * have no language: words are translated where they are printed.
 */
#ifndef TOOL_PROBE_H
#define TOOL_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One figure: a number, or when `text` is set one of a few words. */
struct figure {
    const char *key;   /* in JSON */
    const char *words;
    const char *unit;  /* NULL: none */
    const char *text;
    double value;
    bool real;         /* shown with a decimal */
};

#define FIGURES 8

struct measured {
    struct figure figures[FIGURES];
    int count;
    bool shown;         /* the figures bear out what the probe says */
    int error;          /* errno: it could not be measured here */
    const char *scheme; /* of the mechanism that was asked for */
    char name[128];     /* room for a text that is measured */
};

struct probe {
    const char *name;    /* as pages call it */
    const char *subject; /* what it is about, when it could not be measured */
    const char *shows;   /* what is so if it was shown */
    int (*run)(struct measured *measured); /* 0 or a negative errno */
};

extern const struct probe probes_ends[], probes_memory[], probes_waiting[], probes_ways[], probes_order[],
    probes_sockets[]; /* end with name NULL */

const struct probe *probe_find(const char *name, size_t size);
void probe_run(const struct probe *probe, const char *scheme, struct measured *ret);

void figure_number(struct measured *measured, const char *key, const char *words, double value, const char *unit);
void figure_real(struct measured *measured, const char *key, const char *words, double value, const char *unit);
void figure_text(struct measured *measured, const char *key, const char *words, const char *text);

/* Runs `work` in a child of its own; its status as waitpid(2) gives it, or a negative errno. */
int probe_child(void (*work)(void *), void *argument);

/* A page shared with the children that are made after it; NULL with errno set. */
void *probe_shared(size_t size);

#endif
