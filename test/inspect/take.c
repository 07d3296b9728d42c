/* SPDX-License-Identifier: MIT */
/*
 * take [plainly] [waits] [depths] [findings]: takes one snapshot, for who measures it, and says from where that is, how many
 * microseconds of the processor it took, and how many ends are in it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tong/inspect.h"

int main(int argc, char **argv)
{
    static const struct { const char *word; uint32_t flag; } words[] = {
        { "plainly", TONG_LOOK_PLAINLY }, { "waits", TONG_LOOK_WAITS }, { "depths", TONG_LOOK_DEPTHS },
        { "findings", TONG_LOOK_FINDINGS },
    };
    tong_look look = { sizeof look, 0, NULL };
    tong_snapshot *snapshot;
    struct rusage used;
    for (int i = 1; i < argc; i++)
        for (size_t j = 0; j < sizeof words / sizeof *words; j++)
            look.flags |= strcmp(argv[i], words[j].word) ? 0 : words[j].flag;
    int r = tong_snapshot_take(&look, &snapshot);
    if (r < 0) {
        fprintf(stderr, "tong_snapshot_take: %s\n", tong_detail());
        return 1;
    }
    getrusage(RUSAGE_SELF, &used);
    printf("%s %lld %zu\n", tong_snapshot_tier(snapshot),
           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec + used.ru_stime.tv_usec,
           tong_snapshot_ends(snapshot));
    tong_snapshot_free(snapshot);
    return 0;
}
