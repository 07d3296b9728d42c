/* SPDX-License-Identifier: MIT */
/* scenarios.h - what is searched: rings alone (scenario_ring.c), channels with all that is around them
 * (scenario_channel.c), what becomes of both when somebody is killed (scenario_death.c), and several receivers
 * (scenario_queue.c; their holds alone: scenario_hold.c), or a log for all of them (scenario_broadcast.c). */
#ifndef MODEL_SCENARIOS_H
#define MODEL_SCENARIOS_H

#include "ring/queue.h"
#include "world.h"

/* Each ends without a name. */
extern const struct scenario ring_scenarios[], channel_scenarios[], death_scenarios[], queue_scenarios[],
                             hold_scenarios[], broadcast_scenarios[];

/* Message `number` of a sender, of which every byte can be told from any other's. */
#define MESSAGE_MOST 96
void message_write(void *to, uint64_t size, unsigned sender, unsigned number);
/* Its number; whatever is none of that sender's messages is a failure. */
unsigned message_read(const void *from, uint64_t size, unsigned sender);
unsigned message_sender(const void *from);

/* Sends on a channel; receives the next message into `buffer`: its size, or a negative errno. */
void channel_send(struct ring_channel *channel, uint64_t size, unsigned sender, unsigned number);
ssize_t channel_receive(struct ring_channel *channel, void *buffer, uint32_t *ret_flags);

#endif
