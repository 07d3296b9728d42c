/* SPDX-License-Identifier: MIT */
/*
 * memory_read.c - prints the string that memory_write.c left in System V shared memory, and removes the memory.
 *
 * The string was written by others: it is looked for within the region, which may be of any size and without an end.
 *
 * With the bare calls: raw/memory_read.c.  From a shell:
 *     tong region read --text sysvshm:1234; tong rm sysvshm:1234
 *
 * Build: cc memory_read.c -o memory_read $(pkg-config --cflags --libs tong)
 * Usage: memory_read [ADDRESS]            (default sysvshm:1234)
 * Prints:
 *     Linux Programming
 */
#include <stdio.h>
#include <string.h>

#include <tong/tong.h>

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "sysvshm:1234";
    tong_region *region;
    if (tong_region_open(address, TONG_READ, &region) < 0)
        return fprintf(stderr, "memory_read: %s\n", tong_detail()), 1;
    const char *text = tong_region_data(region);
    fwrite(text, 1, strnlen(text, tong_region_size(region)), stdout);
    putchar('\n');
    tong_region_close(region);
    if (tong_remove(address) < 0)
        return fprintf(stderr, "memory_read: %s\n", tong_detail()), 1;
    return 0;
}
