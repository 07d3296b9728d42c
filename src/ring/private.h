/* SPDX-License-Identifier: MIT */
/*
 * private.h - a channel of rings between two processes alone, who have shown their credentials: each side makes the
 * segment that it writes, seals it and hands it over (ring/meeting.h).  Whatever either does, the other is not killed by
 * touching it, and nobody else has it.
 */
#ifndef RING_PRIVATE_H
#define RING_PRIVATE_H

#include "core/mechanism.h"

extern const struct channel_facet *const ring_private_variants[];
extern const struct option_use ring_private_options[];
int ring_private_open(const struct open_request *request, struct conduit **ret);

#endif
