/* SPDX-License-Identifier: MIT */
/* columns.h - rows of cells in the room that a terminal has: what matters least goes first, and what matters most stays whole. */
#ifndef TOOL_SIGHT_COLUMNS_H
#define TOOL_SIGHT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

#define COLUMNS_MOST 8

enum column_way {
    COLUMN_WHOLE, /* as wide as its longest cell */
    COLUMN_CUT,   /* the same, where there is room for it: else what is too long loses its middle; one of each table */
    COLUMN_REST   /* what is left; the last of its table */
};

struct column {
    const char *head;
    unsigned rank; /* the higher, the sooner it gives way; 0: never */
    unsigned least;
    enum column_way way;
    bool right;    /* numbers */
};

/* A table ends with a column that has no head. */
struct columns {
    const struct column *table;
    size_t width[COLUMNS_MOST]; /* 0: it is not shown */
};

/* How wide each may be so that `room` holds all of a line; cell[row * COLUMNS_MOST + column]. */
void columns_fit(struct columns *columns, const struct text *cell, size_t rows, size_t room);

/* One line of the cells of a row; NULL: the heads. */
void columns_line(struct text *text, const struct columns *columns, const struct text *cell);

#endif
