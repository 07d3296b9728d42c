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

/* One page of doc/explain in one language; lists are words with blanks between them. */
enum { PAGE_SECTIONS = 5 };
struct page {
    const char *name, *language, *title;
    const char *schemes;  /* of the mechanisms it is about */
    const char *names;    /* what people call it in this language */
    const char *related;  /* pages of what is easily mistaken for it */
    const char *measured; /* names of probes (probe.h) */
    struct { const char *heading, *body; } sections[PAGE_SECTIONS];
};
extern const struct page explain_pages[]; /* generated; ends with name NULL */

/* Prints mechanisms as one JSON document; scheme NULL: all. */
int explain_json(const char *scheme);

#endif
