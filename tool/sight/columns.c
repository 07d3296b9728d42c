/* SPDX-License-Identifier: MIT */
#include "sight/columns.h"

#include <string.h>

#define DOTS ".."
#define CUT_MOST 40 /* of what may be cut: as much of it is kept before a column is */
#define REST_LEAST 23 /* a process and its number */

static const char *words_of(const struct columns *columns, const struct text *cell, size_t i)
{
    return !cell ? columns->table[i].head : cell[i].data ? cell[i].data : "";
}

/* What gives way at all does so where it says nothing. */
static size_t longest(const struct columns *columns, const struct text *cell, size_t rows, size_t i)
{
    const struct column *column = &columns->table[i];
    size_t head = strlen(column->head), most = 0;
    for (size_t row = 0; row < rows; row++) {
        size_t size = text_columns(words_of(columns, cell + row * COLUMNS_MOST, i));
        most = size > most ? size : most;
    }
    if (most == 0 && rows > 0 && column->rank > 0)
        return 0;
    most = column->least > most ? column->least : most;
    return head > most ? head : most;
}

static size_t least_of(const struct column *column, size_t width)
{
    return column->way == COLUMN_REST ? REST_LEAST : column->way == COLUMN_CUT && width > CUT_MOST ? CUT_MOST : width;
}

/* Of all that are shown, with a blank between two. */
static size_t sum(const struct columns *columns)
{
    size_t used = 0;
    for (size_t i = 0; columns->table[i].head; i++)
        used += columns->width[i] ? least_of(&columns->table[i], columns->width[i]) + 1 : 0;
    return used ? used - 1 : 0;
}

static bool drop_one(struct columns *columns)
{
    size_t worst = COLUMNS_MOST;
    for (size_t i = 0; columns->table[i].head; i++)
        if (columns->width[i] && columns->table[i].rank &&
            (worst == COLUMNS_MOST || columns->table[i].rank > columns->table[worst].rank))
            worst = i;
    if (worst == COLUMNS_MOST)
        return false;
    columns->width[worst] = 0;
    return true;
}

/* What is over goes to what would else be cut, and then to the last. */
static void share(struct columns *columns, size_t room)
{
    size_t used = sum(columns);
    for (size_t i = 0; columns->table[i].head; i++) {
        const struct column *column = &columns->table[i];
        size_t wanted = columns->width[i], least = least_of(column, wanted), over = room > used ? room - used : 0;
        if (!wanted || column->way == COLUMN_WHOLE)
            continue;
        if (column->way == COLUMN_CUT && used > room)
            least -= used - room < least ? used - room : least - 1;
        columns->width[i] = column->way == COLUMN_REST || wanted > least + over ? least + over : wanted;
        used += columns->width[i] - least;
    }
}

void columns_fit(struct columns *columns, const struct text *cell, size_t rows, size_t room)
{
    for (size_t i = 0; columns->table[i].head; i++)
        columns->width[i] = longest(columns, cell, rows, i);
    while (sum(columns) > room && drop_one(columns))
        continue;
    share(columns, room);
}

/* The bytes of the first letters that are at most so wide. */
static size_t bytes_of(const char *words, size_t width)
{
    size_t size = 0, left = strlen(words);
    char letter[8] = "";
    while (size < left) {
        size_t length = utf8_character((const unsigned char *)words + size, left - size, NULL);
        length = length ? length : 1;
        memcpy(letter, words + size, length);
        letter[length] = '\0';
        size_t columns = text_columns(letter);
        if (columns > width)
            break;
        width -= columns;
        size += length;
    }
    return size;
}

/* Of a path the end tells most. */
static void add_cut(struct text *text, const char *words, size_t width, bool middle)
{
    size_t all = text_columns(words), head = middle && width > 8 ? (width - 2) / 3 : width;
    if (all <= width || head == width) {
        text_add(text, words, bytes_of(words, width));
        return;
    }
    text_add(text, words, bytes_of(words, head));
    text_add(text, DOTS, strlen(DOTS));
    size_t behind = bytes_of(words, all - (width - head - 2));
    while (text_columns(words + behind) > width - head - 2)
        behind += bytes_of(words + behind, 2);
    text_add(text, words + behind, strlen(words + behind));
}

static void add_cell(struct text *text, const struct column *column, size_t width, const char *words)
{
    size_t used = text_columns(words), blanks = used < width ? width - used : 0;
    if (column->right)
        text_print(text, "%*s", (int)blanks, "");
    add_cut(text, words, width, column->way == COLUMN_CUT);
    if (!column->right)
        text_print(text, "%*s", (int)blanks, "");
}

void columns_line(struct text *text, const struct columns *columns, const struct text *cell)
{
    const char *blank = "";
    for (size_t i = 0; columns->table[i].head; i++) {
        if (!columns->width[i])
            continue;
        text_print(text, "%s", blank);
        add_cell(text, &columns->table[i], columns->width[i], words_of(columns, cell, i));
        blank = " ";
    }
}
