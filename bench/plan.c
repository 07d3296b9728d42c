/* SPDX-License-Identifier: MIT */
/* The works, in the order in which they are measured and shown. */
#include "bench/round.h"

#define K 1024
#define M 1048576

const struct work works[] = {
    { .key = "round-trip-64-spin", .title = "Round trip, 64 B, spinning, two processors", .test = TEST_ROUND_TRIP,
      .size = 64, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART, .quick = true },
    { .key = "round-trip-64-sleep-one", .title = "Round trip, 64 B, sleeping, one processor", .test = TEST_ROUND_TRIP,
      .size = 64, .senders = 1, .receivers = 1, .place = PLACE_TOGETHER, .quick = true },
    { .key = "round-trip-64-sleep", .title = "Round trip, 64 B, waiting as the library does, two processors",
      .test = TEST_ROUND_TRIP, .size = 64, .senders = 1, .receivers = 1, .place = PLACE_APART },
    { .key = "round-trip-4096-spin", .title = "Round trip, 4 KiB, spinning, two processors", .test = TEST_ROUND_TRIP,
      .size = 4 * K, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "round-trip-65536-spin", .title = "Round trip, 64 KiB, spinning, two processors", .test = TEST_ROUND_TRIP,
      .size = 64 * K, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "round-trip-1048576-spin", .title = "Round trip, 1 MiB, spinning, two processors", .test = TEST_ROUND_TRIP,
      .size = M, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "one-way-64-spin", .title = "One way, 64 B, one by one, spinning, two processors", .test = TEST_ONE_WAY,
      .size = 64, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART, .quick = true },
    { .key = "one-way-64-batch", .title = "One way, 64 B, in batches of 32, spinning, two processors",
      .test = TEST_ONE_WAY, .size = 64, .senders = 1, .receivers = 1, .spin = true, .bursts = true,
      .place = PLACE_APART, .quick = true },
    { .key = "one-way-64-sleep-one", .title = "One way, 64 B, sleeping, one processor", .test = TEST_ONE_WAY,
      .size = 64, .senders = 1, .receivers = 1, .place = PLACE_TOGETHER },
    { .key = "one-way-64", .title = "One way, 64 B, waiting as the library does, two processors", .test = TEST_ONE_WAY,
      .size = 64, .senders = 1, .receivers = 1, .place = PLACE_APART, .quick = true },
    { .key = "one-way-1024", .title = "One way, 1 KiB, waiting as the library does, two processors",
      .test = TEST_ONE_WAY, .size = K, .senders = 1, .receivers = 1, .place = PLACE_APART },
    { .key = "one-way-4096", .title = "One way, 4 KiB, waiting as the library does, two processors",
      .test = TEST_ONE_WAY, .size = 4 * K, .senders = 1, .receivers = 1, .place = PLACE_APART, .quick = true },
    { .key = "one-way-65536", .title = "One way, 64 KiB, waiting as the library does, two processors",
      .test = TEST_ONE_WAY, .size = 64 * K, .senders = 1, .receivers = 1, .place = PLACE_APART, .quick = true },
    { .key = "one-way-1048576", .title = "One way, 1 MiB, waiting as the library does, two processors",
      .test = TEST_ONE_WAY, .size = M, .senders = 1, .receivers = 1, .place = PLACE_APART, .quick = true },
    { .key = "one-way-1024-spin", .title = "One way, 1 KiB, spinning, two processors", .test = TEST_ONE_WAY,
      .size = K, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "one-way-65536-spin", .title = "One way, 64 KiB, spinning, two processors", .test = TEST_ONE_WAY,
      .size = 64 * K, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "one-way-1048576-spin", .title = "One way, 1 MiB, spinning, two processors", .test = TEST_ONE_WAY,
      .size = M, .senders = 1, .receivers = 1, .spin = true, .place = PLACE_APART },
    { .key = "paced-64-one", .title = "Paced, 64 B, 10000 a second, sleeping, one processor", .test = TEST_PACED,
      .size = 64, .senders = 1, .receivers = 1, .place = PLACE_TOGETHER, .quick = true },
    { .key = "paced-64", .title = "Paced, 64 B, 10000 a second, sleeping, two processors", .test = TEST_PACED,
      .size = 64, .senders = 1, .receivers = 1, .place = PLACE_APART },
    { .key = "one-way-64-2-1", .title = "One way, 64 B, 2 senders and 1 receiver, spinning", .test = TEST_ONE_WAY,
      .size = 64, .senders = 2, .receivers = 1, .spin = true, .place = PLACE_ANY, .quick = true },
    { .key = "one-way-64-2-2", .title = "One way, 64 B, 2 senders and 2 receivers, spinning", .test = TEST_ONE_WAY,
      .size = 64, .senders = 2, .receivers = 2, .spin = true, .place = PLACE_ANY },
    { .key = "broadcast-64-1-1", .title = "Broadcast, 64 B, 1 sender and 1 receiver, spinning", .test = TEST_ONE_WAY,
      .size = 64, .senders = 1, .receivers = 1, .broadcast = true, .spin = true, .place = PLACE_APART },
    { .key = "broadcast-64-1-4", .title = "Broadcast, 64 B, 1 sender and 4 receivers, spinning", .test = TEST_ONE_WAY,
      .size = 64, .senders = 1, .receivers = 4, .broadcast = true, .spin = true, .place = PLACE_ANY, .quick = true },
};
const int work_count = sizeof works / sizeof *works;

_Static_assert(sizeof works / sizeof *works <= WORKS_MAX, "struct round has room for them");
