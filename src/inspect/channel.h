/* SPDX-License-Identifier: MIT */
/* channel.h - how far each receiver of a channel of tong has come, from copies of the two control areas. */
#ifndef INSPECT_CHANNEL_H
#define INSPECT_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/layout.h"
#include "tong/inspect.h"

struct channel_progress {
    const struct layout_control *senders;
    const struct layout_receivers *receivers; /* NULL: they could not be read */
    bool counted[LAYOUT_PLACES];              /* of a broadcast: which `number` is known */
    uint64_t number[LAYOUT_PLACES];           /* of the next message behind the tail of each lane */
};

/* The senders' segment is read further, for what lies in the lanes of a broadcast behind their newest index. */
struct channel_progress channel_begin(int senders_fd, const struct layout_control *senders,
                                      const struct layout_control *receivers);

/* Fills in what is known of the receiver in that place, and the flag that says so. */
void channel_progress(const struct channel_progress *progress, unsigned place, tong_end *ret);

#endif
