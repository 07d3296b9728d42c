/* SPDX-License-Identifier: MIT */
/* sender.h - who sent, in JSON (doc/json.md). */
#ifndef TOOL_SENDER_H
#define TOOL_SENDER_H

#include "json.h"
#include "tong/base.h"

/* A number, or null where it is not known. */
void json_known(struct json *json, const char *name, uint64_t value, bool known);

/* The member "sender": an object, or null. */
void json_sender(struct json *json, const tong_identity *sender);

#endif
