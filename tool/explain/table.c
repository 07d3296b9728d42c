/* SPDX-License-Identifier: MIT */
/* `tong explain` without a name: the table of all mechanisms, computed from what each offers. */
#include <stdio.h>
#include <string.h>

#include "explain/explain.h"
#include "text.h"

#define COLUMNS 6
#define CELL 64

static const char *const headings[COLUMNS] = { "ADDRESS", "DIRECTION", "MEDIUM", "UNIT", "REACH", "SEND:RECV" };

static const char *ends_words(uint32_t offers)
{
    static const char *const words[] = { "1:1", "many:1", "1:many", "many:many" };
    if (!(offers & TONG_HAS_CHANNEL))
        return "-";
    return words[!!(offers & TONG_HAS_MANY_SENDERS) + 2 * !!(offers & TONG_HAS_MANY_RECEIVERS)];
}

/* The first way to write the address, with the variant: "unix:PATH", "  ?socket=seqpacket". */
static void address_words(const tong_mechanism_info *mechanism, bool again, char ret[CELL])
{
    if (again)
        snprintf(ret, CELL, "  ?%s", mechanism->variant);
    else
        snprintf(ret, CELL, "%.*s", (int)strcspn(mechanism->form, ", "), mechanism->form);
}

/* What stands before the details: "bytes" of "bytes, framed into messages". */
static void shorten(const char *words, char ret[CELL])
{
    char head[CELL];
    snprintf(head, sizeof head, "%.*s", (int)strcspn(words, ",:;("), words);
    for (size_t used = strlen(head); used && head[used - 1] == ' ';)
        head[--used] = '\0';
    snprintf(ret, CELL, "%s", local(head));
}

static void cells(const tong_mechanism_info *mechanism, bool again, char ret[COLUMNS][CELL])
{
    address_words(mechanism, again, ret[0]);
    snprintf(ret[1], CELL, "%s%s", local(direction_words(mechanism)),
             mechanism->offers & TONG_HAS_TWO_WAY_PAIR ? " *" : "");
    shorten(again ? "" : mechanism->medium, ret[2]);
    shorten(again ? "" : mechanism->unit, ret[3]);
    shorten(again ? "" : mechanism->reach, ret[4]);
    snprintf(ret[5], CELL, "%s", local(ends_words(mechanism->offers)));
}

/* Calls `each` for every row, with whether its scheme was seen in the row before. */
static void each_row(void (*each)(const tong_mechanism_info *, bool again, size_t *widths), size_t *widths)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    const char *before = "";
    for (size_t i = 0; tong_mechanism_describe(i, &mechanism) == 0; i++) {
        each(&mechanism, !strcmp(before, mechanism.scheme), widths);
        before = mechanism.scheme;
    }
}

static void measure(const tong_mechanism_info *mechanism, bool again, size_t *widths)
{
    char cell[COLUMNS][CELL];
    cells(mechanism, again, cell);
    for (int i = 0; i < COLUMNS; i++)
        if (text_columns(cell[i]) > widths[i])
            widths[i] = text_columns(cell[i]);
}

static void print_cell(const char *words, int column, const size_t *widths)
{
    print_padded(words, column < COLUMNS - 1 ? widths[column] + 2 : 0);
    if (column == COLUMNS - 1)
        putchar('\n');
}

static void print_row(const tong_mechanism_info *mechanism, bool again, size_t *widths)
{
    char cell[COLUMNS][CELL];
    cells(mechanism, again, cell);
    for (int i = 0; i < COLUMNS; i++)
        print_cell(cell[i], i, widths);
    if (!again)
        printf("    %s\n", local(mechanism->summary));
}

void explain_table(void)
{
    size_t widths[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        widths[i] = text_columns(local(headings[i]));
    each_row(measure, widths);
    for (int i = 0; i < COLUMNS; i++)
        print_cell(local(headings[i]), i, widths);
    each_row(print_row, widths);
    static const char *const notes[] = {
        "* Two of them, named in one address or made as a pair, go both ways.",
        "SEND:RECV is how many may send and receive at once; a server has one channel for each client.",
        "'tong explain NAME' explains one mechanism and measures it here, in Korean too (--lang ko).",
    };
    putchar('\n');
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        puts(local(notes[i]));
}
