/* SPDX-License-Identifier: MIT */
/* Growing text, UTF-8, and what a terminal may be shown. */
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "stop.h"

void text_reserve(struct text *text, size_t size)
{
    if (text->data && size < text->room - text->used)
        return;
    size_t room = text->room ? text->room : 256;
    while (room - text->used <= size && room <= SIZE_MAX / 2)
        room *= 2;
    char *data = room - text->used > size ? realloc(text->data, room) : NULL;
    if (!data) {
        fputs("tong: out of memory\n", stderr);
        exit(CODE_FAILED);
    }
    text->data = data;
    text->room = room;
}

void text_add(struct text *text, const void *data, size_t size)
{
    text_reserve(text, size);
    if (size)
        memcpy(text->data + text->used, data, size);
    text->used += size;
    text->data[text->used] = '\0';
}

void text_print(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    text_reserve(text, 0);
    size_t room = text->room - text->used;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(text->data + text->used, room, format, arguments);
    if (size >= 0 && (size_t)size >= room) {
        text_reserve(text, (size_t)size);
        vsnprintf(text->data + text->used, (size_t)size + 1, format, again);
    }
    text->used += size >= 0 ? (size_t)size : 0;
    va_end(again);
    va_end(arguments);
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text)TEXT_INIT;
}

/* Well-formed UTF-8 by the Unicode standard, table 3-7: no overlong forms, no surrogates, up to U+10FFFF. */
size_t utf8_character(const unsigned char *data, size_t size, unsigned *ret_code)
{
    static const struct { unsigned char low, high; size_t length; unsigned mask, least; } leads[] = {
        { 0x00, 0x7f, 1, 0x7f, 0 }, { 0xc2, 0xdf, 2, 0x1f, 0x80 },
        { 0xe0, 0xef, 3, 0x0f, 0x800 }, { 0xf0, 0xf4, 4, 0x07, 0x10000 },
    };
    for (size_t i = 0; size && i < sizeof leads / sizeof *leads; i++) {
        if (data[0] < leads[i].low || data[0] > leads[i].high)
            continue;
        if (leads[i].length > size)
            return 0;
        unsigned code = data[0] & leads[i].mask;
        for (size_t k = 1; k < leads[i].length; k++) {
            if ((data[k] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (data[k] & 0x3f);
        }
        if (code < leads[i].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 0;
        if (ret_code)
            *ret_code = code;
        return leads[i].length;
    }
    return 0;
}

struct range {
    unsigned first, last;
};

static bool in_ranges(unsigned code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* The ranges of Unicode's EastAsianWidth.txt that are wide throughout and that our words, or names, may have. */
static bool wide(unsigned code)
{
    static const struct range ranges[] = {
        { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xa960, 0xa97f }, { 0xac00, 0xd7a3 },
        { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff },
        { 0x20000, 0x3fffd },
    };
    return in_ranges(code, ranges, sizeof ranges / sizeof *ranges);
}

/* What stands on the letter before it: accents, and the vowels and ends of Korean syllables that are written in parts. */
static bool is_joined(unsigned code)
{
    static const struct range ranges[] = {
        { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x1160, 0x11ff }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
        { 0x20d0, 0x20ff }, { 0x302a, 0x302d }, { 0x3099, 0x309a }, { 0xd7b0, 0xd7ff }, { 0xfe00, 0xfe0f },
        { 0xfe20, 0xfe2f },
    };
    return in_ranges(code, ranges, sizeof ranges / sizeof *ranges);
}

size_t text_columns(const char *text)
{
    size_t columns = 0, left = strlen(text);
    while (left) {
        unsigned code = 0;
        size_t length = utf8_character((const unsigned char *)text, left, &code);
        columns += is_joined(code) ? 0 : wide(code) ? 2 : 1;
        text += length ? length : 1;
        left -= length ? length : 1;
    }
    return columns;
}

size_t text_whole(const char *text, size_t most)
{
    size_t size = strnlen(text, most);
    while (size > 0 && size == most && ((unsigned char)text[size] & 0xc0) == 0x80)
        most = --size;
    return size;
}

void text_pad(struct text *text, const char *words, size_t columns)
{
    size_t used = text_columns(words);
    text_print(text, "%s%*s", words, used < columns ? (int)(columns - used) : 0, "");
}

int utf8_valid(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    while (size) {
        size_t length = utf8_character(bytes, size, NULL);
        if (!length)
            return 0;
        bytes += length;
        size -= length;
    }
    return 1;
}

bool utf8_harmful(unsigned code)
{
    static const struct range ranges[] = {
        { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
        { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
    };
    return in_ranges(code, ranges, sizeof ranges / sizeof *ranges);
}

static void add_escape(struct text *text, unsigned code)
{
    static const char named[] = "\nn\tt\rr";
    for (const char *pair = named; *pair; pair += 2)
        if ((unsigned)*pair == code) {
            text_print(text, "\\%c", pair[1]);
            return;
        }
    text_print(text, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
}

void text_visible(struct text *text, const char *data, size_t size, const char *keep)
{
    while (size) {
        unsigned code = (unsigned char)*data;
        size_t length = utf8_character((const unsigned char *)data, size, &code);
        if (!length) {
            length = 1;
            text_print(text, "\\x%02x", code);
        } else if (!utf8_harmful(code) || (code && code < 0x80 && strchr(keep, (int)code))) {
            text_add(text, data, length);
        } else {
            add_escape(text, code);
        }
        data += length;
        size -= length;
    }
}

void print_visible(const char *before, const char *words)
{
    struct text text = TEXT_INIT;
    text_print(&text, "%s", before);
    text_visible(&text, words, strlen(words), "");
    fwrite(text.data, 1, text.used, stdout);
    text_free(&text);
}

const char *text_find_option(const char *address, const char *name, size_t *ret_size)
{
    size_t size = strlen(name);
    for (const char *at = strchr(address, '?'); at; at = strchr(at, '&')) {
        at++;
        if (strncmp(at, name, size) || at[size] != '=')
            continue;
        *ret_size = strcspn(at + size + 1, "&");
        return at + size + 1;
    }
    return NULL;
}

char *text_with_option(const char *address, const char *name, const char *value)
{
    struct text text = TEXT_INIT;
    size_t size;
    if (text_find_option(address, name, &size) || !strchr(address, ':'))
        text_print(&text, "%s", address);
    else
        text_print(&text, "%s%c%s=%s", address, strchr(address, '?') ? '&' : '?', name, value);
    return text.data;
}

/* Row by row of the table of Wagner and Fischer, where a swap of two neighbours is one slip (optimal string alignment). */
size_t text_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 31 };
    size_t before[WORD_MAX + 1] = { 0 }, above[WORD_MAX + 1] = { 0 }, row[WORD_MAX + 1], size = strlen(b);
    if (size > WORD_MAX || strlen(a) > WORD_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= size; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1]; i++) {
        memcpy(before, above, sizeof before);
        memcpy(above, row, sizeof above);
        row[0] = i;
        for (size_t k = 1; k <= size; k++) {
            size_t change = above[k - 1] + (a[i - 1] != b[k - 1]);
            size_t shorter = above[k] < row[k - 1] ? above[k] : row[k - 1];
            row[k] = change < shorter + 1 ? change : shorter + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < row[k])
                row[k] = before[k - 2] + 1;
        }
    }
    return row[size];
}

int write_all(int fd, const void *data, size_t size)
{
    const char *from = data;
    while (size) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && (errno != EINTR || stop_asked()))
            return -errno;
        if (written > 0) {
            from += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

int write_output(const void *data, size_t size)
{
    int r = write_all(STDOUT_FILENO, data, size);
    if (r == -EPIPE)
        stop_ask(SIGPIPE);
    if (r < 0 && stop_asked())
        return CODE_FAILED;
    return r < 0 ? fail_system(r, "standard output") : CODE_DONE;
}
