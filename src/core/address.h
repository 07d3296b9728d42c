/* SPDX-License-Identifier: MIT */
/*
 * address.h - "scheme:name?option=value&...": one grammar, one parser, one table of options.
 *
 *     address = scheme ":" name [ "?" option *( "&" option ) ]
 *     option  = word "=" value
 *
 * Percent-encoding is decoded in names and values; %00 is refused.  A comma separates the two names of a
 * two-way address before decoding, so %2C is a comma in a name.
 */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/number.h"

#define ADDRESS_SCHEME_MAX 15
#define ADDRESS_NAME_MAX 4095 /* bytes, decoded: PATH_MAX less its NUL */

/* Every option there is; option_rules[] in address.c says what each takes and means. */
enum option_id {
    OPTION_MODE,
    OPTION_CREATE,
    OPTION_REMOVE,
    OPTION_CAPACITY,
    OPTION_MESSAGES,
    OPTION_SIZE,
    OPTION_FULL,
    OPTION_DELIVER,
    OPTION_FRAME,
    OPTION_BUFFER,
    OPTION_SOCKET,
    OPTION_CREDS,
    OPTION_BACKLOG,
    OPTION_TYPE,
    OPTION_SELECT,
    OPTION_POLL,
    OPTION_FROM,
    OPTION_RECONNECT,
    OPTION_SYNC,
    OPTION_FOLLOW,
    OPTION_COUNTERS,
    OPTION_VALUE,
    OPTION_INDEX,
    OPTION_SIGNAL,
    OPTION_NODELAY,
    OPTION_KEEPALIVE,
    OPTION_RECEIVERS,
    OPTION_SLOW,
    OPTION_AS,
    OPTION_READONLY,
    OPTION_DURABLE,
    OPTION_PEER,
    OPTION_COUNT
};

/* Values of the options that are words, in the order of the words in option_rules[]. */
enum { CREATE_YES, CREATE_NO, CREATE_EXCL };
enum { REMOVE_NEVER, REMOVE_OWNER, REMOVE_LAST };
enum { FULL_WAIT, FULL_DROP, FULL_FAIL };
enum { DELIVER_QUEUE, DELIVER_BROADCAST };
enum { FRAME_PACKET, FRAME_LINE, FRAME_NONE };
enum { SOCKET_STREAM, SOCKET_SEQPACKET, SOCKET_DATAGRAM };
enum { FROM_START, FROM_END, FROM_LEFT };
enum { SLOW_WAIT, SLOW_SKIP, SLOW_DROP };
enum { FOLLOW_NO, FOLLOW_YES };

/* One option that a mechanism takes, with what holds when it is not given and the bounds it must keep.
 * A list ends with an element whose id is OPTION_COUNT.  words is a bit mask of the words allowed (0: all). */
struct option_use {
    enum option_id id;
    int64_t fallback;
    int64_t low, high;
    uint32_t words;
};

#define OPTIONS_END { OPTION_COUNT, 0, 0, 0, 0 }

struct address {
    char scheme[ADDRESS_SCHEME_MAX + 1];
    char *text;             /* as given; owned */
    char *name;             /* decoded first name, never NULL; owned */
    char *second;           /* decoded second name of a two-way address, or NULL; owned */
    uint64_t given;         /* bit of each option in the text */
    int64_t value[OPTION_COUNT];
    int64_t selection_type; /* beside value[OPTION_SELECT], which is the rule */
};

/*
 * Parses `text` far enough to know its scheme and names, and keeps the options for address_settle().
 * On failure nothing has to be freed.  -EINVAL, -ENAMETOOLONG, -ENOMEM.
 */
int address_parse(const char *text, struct address *ret);

/* Checks the options against what the mechanism takes and fills in the rest.  -EINVAL names the options. */
int address_settle(struct address *address, const struct option_use *uses);

void address_free(struct address *address);

static inline bool address_given(const struct address *address, enum option_id id)
{
    return address->given >> id & 1;
}

/* For tong_mechanism_option(): the option in words.  name and help are static. */
struct option_words {
    const char *name, *help;
    char values[48], fallback[32];
};
void option_describe(const struct option_use *use, struct option_words *ret);

#endif
