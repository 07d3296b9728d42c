/* SPDX-License-Identifier: MIT */
/*
 * The limit: each ring that may be the best at a work, at the size that suits it.  The best of them in a round is the
 * limit of that work.
 */
#include "bench/limit/ring.h"

#define K 1024
#define M 1048576

int limit_contestants(struct contestant *list, int most)
{
    static const struct contestant all[] = {
        { .name = "line", .wire = &line_wire, .prepare = line_prepare, .ring = 64 * K, .most = 64, .sleeps = true,
          .spins = true },
        { .name = "turns", .wire = &turns_wire, .prepare = turns_prepare, .ring = 256 * K, .most = K, .sleeps = true,
          .spins = true, .broadcasts = true },
        { .name = "turns, 8 MiB", .wire = &turns_wire, .prepare = turns_prepare, .ring = 8 * M, .least = K + 1,
          .sleeps = true, .spins = true },
        { .name = "index", .wire = &index_wire, .prepare = index_prepare, .ring = 256 * K, .most = K, .sleeps = true,
          .spins = true, .one_way = true },
        { .name = "index, 8 MiB", .wire = &index_wire, .prepare = index_prepare, .ring = 8 * M, .least = K,
          .sleeps = true, .spins = true, .one_way = true },
        { .name = "bursts, 4 MiB", .wire = &burst_wire, .prepare = index_prepare, .ring = 4 * M, .least = K,
          .most = 64 * K, .sleeps = true, .spins = true, .one_way = true },
        { .name = "bursts, 4 MiB", .wire = &burst_wire, .prepare = index_prepare, .ring = 4 * M, .most = K,
          .sleeps = true, .spins = true, .one_way = true, .bursts = true, .broadcasts = true },
        { .name = "bursts, 256 KiB", .wire = &burst_wire, .prepare = index_prepare, .ring = 256 * K, .most = K,
          .spins = true, .one_way = true, .bursts = true, .broadcasts = true },
        { .name = "drained", .wire = &drain_wire, .prepare = index_prepare, .ring = 256 * K, .most = K, .sleeps = true,
          .one_way = true },
        { .name = "claimed", .wire = &claim_wire, .prepare = claim_prepare, .ring = 512 * K, .most = 64, .spins = true,
          .one_way = true, .bursts = true, .many_senders = true, .many_receivers = true },
        { .name = "lanes", .wire = &lanes_wire, .prepare = lanes_prepare, .ring = 256 * K, .most = K, .spins = true,
          .one_way = true, .bursts = true, .many_senders = true },
        { .name = "handed over", .wire = &hand_wire, .prepare = hand_prepare, .ring = 8 * M, .least = 64 * K,
          .spins = true, .sleeps = true, .one_way = true, .hands = true },
        { .name = "pacing alone", .wire = &silence_wire, .prepare = silence_prepare, .remove = silence_remove,
          .idle = true, .sleeps = true },
    };
    int count = (int)(sizeof all / sizeof *all);
    for (int i = 0; i < count && i < most; i++) {
        list[i] = all[i];
        list[i].group = GROUP_LIMIT;
        list[i].least = all[i].least ? all[i].least : 64;
        list[i].most = all[i].most ? all[i].most : SIZE_MAX;
        list[i].remove = all[i].remove ? all[i].remove : rings_remove;
    }
    return count < most ? count : most;
}
