/* SPDX-License-Identifier: MIT */
/* undo.h - who holds a counter of a System V set with SEM_UNDO: known where BPF can be used, else nobody is known. */
#ifndef INSPECT_UNDO_H
#define INSPECT_UNDO_H

#include "inspect/probe.h"

/* A counter that would go up, or down, if a process ended. */
struct undo {
    uint64_t namespace_inode;
    int id;
    unsigned counter;
    bool up;
};

/* The next process after place *place, which begins with 0; TONG_NOBODY: there is none left. */
uint32_t undo_holder(const struct scan *scan, const struct undo *undo, size_t *place);

#endif
