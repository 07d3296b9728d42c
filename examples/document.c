/* SPDX-License-Identifier: MIT */
/*
 * document.c - the first reason to cooperate, sharing information: several programs write one document at once.
 *
 * The document is a mapped file.  Each author looks at the number of its last line and appends the next one; the
 * region's lock makes looking and appending one step, and goes to the next when an author is killed.  The file is
 * there for cat(1) and an editor, before and after.
 *
 * Build: cc document.c -o document $(pkg-config --cflags --libs tong)
 * Usage: document ADDRESS AUTHOR LINES         appends so many lines
 *        document ADDRESS                      says what is in it
 * Two authors at once, document mmap:/tmp/notes ann 300 & document mmap:/tmp/notes bob 300, and then
 * document mmap:/tmp/notes prints:
 *     600 lines, numbered without a gap
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tong/tong.h>

static int failed(void)
{
    fprintf(stderr, "document: %s\n", tong_detail());
    return 1;
}

/* Reads the lines as long as they are numbered 1, 2, 3 ...; returns how many, and where they end. */
static int lines(const char *text, size_t size, size_t *ret_end)
{
    int number = 0;
    const char *at = text, *newline;
    while ((newline = memchr(at, '\n', size - (size_t)(at - text))) != NULL && atoi(at) == number + 1) {
        number++;
        at = newline + 1;
    }
    *ret_end = (size_t)(at - text);
    return number;
}

static int append(tong_region *region, const char *author)
{
    char *text = tong_region_data(region), line[64];
    size_t end, size = tong_region_size(region);
    if (tong_region_lock(region, 5 * TONG_SECOND) < 0)
        return failed();
    int number = lines(text, size, &end) + 1;
    int length = snprintf(line, sizeof line, "%d %.40s\n", number, author);
    int full = (size_t)length >= size - end;
    if (full)
        fprintf(stderr, "document: it is full\n");
    else /* with the 0: what an author left who died in the middle of this ends here */
        memcpy(text + end, line, (size_t)length + 1);
    return tong_region_unlock(region) < 0 || full;
}

static int look(tong_region *region)
{
    const char *text = tong_region_data(region);
    size_t end, size = tong_region_size(region);
    if (tong_region_lock(region, 5 * TONG_SECOND) < 0)
        return failed();
    int number = lines(text, size, &end);
    printf("%d lines, numbered %s a gap\n", number, strnlen(text, size) == end ? "without" : "with");
    return tong_region_unlock(region) < 0;
}

int main(int argc, char **argv)
{
    char address[4096];
    tong_region *region;
    if (argc != 2 && argc != 4)
        return fprintf(stderr, "usage: document ADDRESS [AUTHOR LINES]\n"), 2;
    snprintf(address, sizeof address, "%s?size=64K", argv[1]);
    if (tong_region_open(argc == 4 ? address : argv[1], argc == 4 ? TONG_READ | TONG_WRITE : TONG_READ, &region) < 0)
        return failed();
    int result = argc == 4 ? 0 : look(region);
    for (int left = argc == 4 ? atoi(argv[3]) : 0; left > 0 && result == 0; left--)
        result = append(region, argv[2]);
    return tong_region_close(region) < 0 || result;
}
