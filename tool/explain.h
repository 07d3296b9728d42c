/* SPDX-License-Identifier: MIT */
/* explain.h - what `tong explain` shows, in words and in JSON. */
#ifndef TOOL_EXPLAIN_H
#define TOOL_EXPLAIN_H

#include "tong/mechanism.h"

/* What the offers come to. */
const char *direction_words(const tong_mechanism_info *mechanism);
const char *identity_words(uint32_t identity);

/* An ability: the flag, its key in JSON, and what it means when it is there. */
struct ability {
    uint32_t flag;
    const char *key, *words;
};
extern const struct ability abilities[]; /* ends with flag 0 */

/* Prints mechanisms as one JSON document; scheme NULL: all. */
int explain_json(const char *scheme);

#endif
