/* SPDX-License-Identifier: MIT */
/*
 * memory_write.c - puts a string into System V shared memory; memory_read.c, another program, finds it there.
 *
 * A region is plain memory: strcpy(3) is all it takes, and raw/memory_read.c, or any program with shmget(1234), sees
 * the same bytes.  The segment stays in the kernel when this program has ended.  The address could be another one,
 * shm:NAME or mmap:/tmp/FILE, and nothing else would change.
 *
 * With the bare calls: raw/memory_write.c.  From a shell:
 *     printf 'Linux Programming' | tong region write 'sysvshm:1234?size=4K&mode=0666'
 *
 * Build: cc memory_write.c -o memory_write $(pkg-config --cflags --libs tong)
 * Usage: memory_write [ADDRESS]            (default sysvshm:1234)
 */
#include <stdio.h>
#include <string.h>

#include <tong/tong.h>

int main(int argc, char **argv)
{
    char address[256];
    tong_region *region;
    snprintf(address, sizeof address, "%s?size=4K&mode=0666", argc > 1 ? argv[1] : "sysvshm:1234");
    if (tong_region_open(address, TONG_READ | TONG_WRITE, &region) < 0)
        return fprintf(stderr, "memory_write: %s\n", tong_detail()), 1;
    strcpy(tong_region_data(region), "Linux Programming");
    return tong_region_close(region) < 0;
}
