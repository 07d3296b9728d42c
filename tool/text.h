/* SPDX-License-Identifier: MIT */
/* text.h - growing text, and bytes made fit for a terminal.  Out of memory ends the command. */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* data[0..used) is the text; data[used] need not be a NUL, but text_print() and text_add() leave one. */
struct text {
    char *data;
    size_t used, room;
};

#define TEXT_INIT { NULL, 0, 0 }

/* Makes room for `size` more bytes and a NUL. */
void text_reserve(struct text *text, size_t size);
void text_add(struct text *text, const void *data, size_t size);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3), nonnull(2)));
void text_free(struct text *text);

/* Adds bytes so that a terminal only shows them: printable UTF-8 as it is, everything else as \n, \x1b, \u202e.
 * Characters in `keep` (of "\n\t") stay themselves. */
void text_visible(struct text *text, const char *data, size_t size, const char *keep);

/* `before` as it is and the text so, on standard output. */
void print_visible(const char *before, const char *text);

/* "address?a=1" with name=value added, unless it is given there already or there is no address; the caller frees it. */
char *text_with_option(const char *address, const char *name, const char *value);

/* The value of option `name` in an address, up to the next '&', and its size; NULL when it is not given. */
const char *text_find_option(const char *address, const char *name, size_t *ret_size);

/* The length of the UTF-8 character at `data`, 0 if there is none.  ret_code may be NULL. */
size_t utf8_character(const unsigned char *data, size_t size, unsigned *ret_code);

/* Control characters, and those that reorder or hide what is around them. */
bool utf8_harmful(unsigned code);

/* As many of `most` bytes as end with a whole letter of it. */
size_t text_whole(const char *text, size_t most);

/* How many columns of a terminal UTF-8 text takes: Korean letters and their like take two. */
size_t text_columns(const char *text);

/* Adds words, and blanks until they take so many columns. */
void text_pad(struct text *text, const char *words, size_t columns);

int utf8_valid(const void *data, size_t size);

/* How many letters have to be added, dropped, changed or swapped with the next to make `b` of `a`; words above 31 letters
 * are far from all. */
size_t text_distance(const char *a, const char *b);

/* Writes everything to a descriptor: 0 or a negative errno.  -EINTR only when stopping was asked for (stop.h). */
int write_all(int fd, const void *data, size_t size);

/* The same to standard output: 0, or an exit code, after saying why; silent when stopping was asked for, which a reader
 * that has gone (head, less) does too: that is no failure. */
int write_output(const void *data, size_t size);

#endif
