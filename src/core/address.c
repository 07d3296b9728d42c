/* SPDX-License-Identifier: MIT */
/* Addresses: the parser, and the one table that says what each option takes and means. */
#include "core/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "core/signal_name.h"
#include "tong/channel.h"

enum option_kind { KIND_WORD, KIND_SWITCH, KIND_OCTAL, KIND_BYTES, KIND_COUNT, KIND_DURATION, KIND_NUMBER, KIND_SELECTION,
                   KIND_SIGNAL, KIND_NAME, KIND_USER };

#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

struct option_rule {
    const char *name;
    enum option_kind kind;
    const char *words; /* KIND_WORD: "a|b|c" */
    const char *help;
};

static const struct option_rule option_rules[OPTION_COUNT] = {
    [OPTION_MODE] = { "mode", KIND_OCTAL, NULL, "permissions of the object when it is made" },
    [OPTION_CREATE] = { "create", KIND_WORD, "yes|no|excl", "make the object if it is missing, never, or only if it is" },
    [OPTION_REMOVE] = { "remove", KIND_WORD, "never|owner|last", "who removes the object: nobody (never), who made it (owner), who leaves last (last)" },
    [OPTION_CAPACITY] = { "capacity", KIND_BYTES, NULL, "bytes the conduit holds before a sender waits" },
    [OPTION_MESSAGES] = { "messages", KIND_COUNT, NULL, "messages the conduit holds before a sender waits" },
    [OPTION_SIZE] = { "size", KIND_BYTES, NULL, "largest message; of a region, its bytes when it is made" },
    [OPTION_FULL] = { "full", KIND_WORD, "wait|drop|fail", "when it is full: wait, drop and count, or fail" },
    [OPTION_DELIVER] = { "deliver", KIND_WORD, "queue|broadcast", "each message to one receiver, or to every one" },
    [OPTION_FRAME] = { "frame", KIND_WORD, "packet|line|none", "how messages are told apart in bytes" },
    [OPTION_BUFFER] = { "buffer", KIND_BYTES, NULL, "bytes read ahead at once" },
    [OPTION_SOCKET] = { "socket", KIND_WORD, "stream|seqpacket|datagram", "the type of socket" },
    [OPTION_CREDS] = { "creds", KIND_SWITCH, NULL, "learn the sender of every message from the kernel" },
    [OPTION_BACKLOG] = { "backlog", KIND_COUNT, NULL, "clients that may wait to be accepted" },
    [OPTION_TYPE] = { "type", KIND_NUMBER, NULL, "type of messages that are sent without one" },
    [OPTION_SELECT] = { "select", KIND_SELECTION, NULL, "which messages to receive: first, T, <=T, !T" },
    [OPTION_POLL] = { "poll", KIND_DURATION, NULL, "look this often, which gives a descriptor to poll" },
    [OPTION_FROM] = { "from", KIND_WORD, "start|end|left", "where a receiver begins: with the oldest that is kept, with what comes, or where it left" },
    [OPTION_RECONNECT] = { "reconnect", KIND_WORD, "no|yes", "wait for the next sender when all are gone" },
    [OPTION_SYNC] = { "sync", KIND_SWITCH, NULL, "every message reaches the disk before send returns" },
    [OPTION_FOLLOW] = { "follow", KIND_WORD, "no|yes", "wait for more where the sender, or the file, ends" },
    [OPTION_COUNTERS] = { "count", KIND_COUNT, NULL, "counters in the set when it is made" },
    [OPTION_VALUE] = { "value", KIND_NUMBER, NULL, "what each counter holds when it is made" },
    [OPTION_INDEX] = { "index", KIND_NUMBER, NULL, "which counter of the set is the lock" },
    [OPTION_SIGNAL] = { "signal", KIND_SIGNAL, NULL, "which signal carries the messages" },
    [OPTION_NODELAY] = { "nodelay", KIND_SWITCH, NULL, "send every message at once instead of gathering small ones" },
    [OPTION_KEEPALIVE] = { "keepalive", KIND_DURATION, NULL, "notice within this time, at least 2s, that an idle peer's machine has vanished; 0: never" },
    [OPTION_RECEIVERS] = { "receivers", KIND_COUNT, NULL, "receivers that may be there at once, up to 16; of a broadcast 16 unless given" },
    [OPTION_SLOW] = { "slow", KIND_WORD, "wait|skip|drop", "a slow receiver: senders wait, or it skips with a count, or is dropped" },
    [OPTION_AS] = { "as", KIND_NAME, NULL, "the name by which a receiver of a broadcast finds where it left" },
    [OPTION_READONLY] = { "readonly", KIND_WORD, "no|yes", "receive by looking only, without a place or a right to write" },
    [OPTION_DURABLE] = { "durable", KIND_WORD, "no|yes", "made so that what was synced survives a power loss, and what was torn by one is cut off" },
    [OPTION_PEER] = { "peer", KIND_USER, NULL, "whose process may be at the other end" },
};

/* ---- Option values ------------------------------------------------------------------------------------- */

/* The position of `value` among "a|b|c", or -EINVAL. */
static int parse_word(const char *words, const char *value, int64_t *ret)
{
    size_t size = strlen(value);
    for (int64_t index = 0; *words; index++) {
        size_t length = strcspn(words, "|");
        if (length == size && !memcmp(words, value, size)) {
            *ret = index;
            return 0;
        }
        words += length + (words[length] == '|');
    }
    return -EINVAL;
}

static int parse_selection(const char *value, int64_t *ret_rule, int64_t *ret_type)
{
    if (!strcmp(value, "first")) {
        *ret_rule = TONG_SELECT_FIRST;
        return 0;
    }
    int64_t rule = TONG_SELECT_EQUAL;
    if (!strncmp(value, "<=", 2))
        rule = TONG_SELECT_UP_TO, value += 2;
    else if (*value == '!')
        rule = TONG_SELECT_EXCEPT, value++;
    int64_t type;
    int r = parse_count(value, 0, &type);
    if (r < 0)
        return r;
    if (type <= 0)
        return -ERANGE;
    *ret_rule = rule;
    *ret_type = type;
    return 0;
}

static int parse_signal(const char *value, int64_t *ret)
{
    int number = signal_number(value);
    if (number < 0)
        return number;
    *ret = number;
    return 0;
}

/* Up to 8 bytes that can be printed, in the order in which they lie in memory. */
static int parse_name(const char *value, int64_t *ret)
{
    size_t size = strlen(value);
    *ret = 0;
    if (size == 0 || size > sizeof *ret || strspn(value, NAME_BYTES) != size)
        return -EINVAL;
    memcpy(ret, value, size);
    return 0;
}

static const char *kind_values(const struct option_rule *rule)
{
    switch (rule->kind) {
    case KIND_WORD: return rule->words;
    case KIND_SWITCH: return "on|off";
    case KIND_OCTAL: return "an octal mode such as 0600";
    case KIND_BYTES: return "bytes such as 4096, 64K or 4M";
    case KIND_COUNT: return "a count";
    case KIND_DURATION: return "a duration such as 1ms or 2s";
    case KIND_NUMBER: return "a number";
    case KIND_SELECTION: return "first, T, <=T or !T";
    case KIND_SIGNAL: return "a signal such as USR1, RTMIN+3 or 34";
    case KIND_NAME: return "1 to 8 letters, digits, - or _";
    case KIND_USER: return "a uid";
    }
    return "";
}

static int parse_value(struct address *address, enum option_id id, const char *value)
{
    int64_t *ret = &address->value[id];
    switch (option_rules[id].kind) {
    case KIND_WORD: return parse_word(option_rules[id].words, value, ret);
    case KIND_SWITCH: return parse_word("off|on", value, ret);
    case KIND_OCTAL: return parse_count(value, 8, ret);
    case KIND_BYTES: return parse_bytes(value, ret);
    case KIND_COUNT: return parse_count(value, 10, ret);
    case KIND_DURATION: return parse_duration(value, ret);
    case KIND_NUMBER: return parse_count(value, 0, ret);
    case KIND_SELECTION: return parse_selection(value, ret, &address->selection_type);
    case KIND_SIGNAL: return parse_signal(value, ret);
    case KIND_NAME: return parse_name(value, ret);
    case KIND_USER: return parse_count(value, 10, ret);
    }
    return -EINVAL;
}

static int option_named(const char *name, size_t size)
{
    for (int id = 0; id < OPTION_COUNT; id++)
        if (strlen(option_rules[id].name) == size && !memcmp(option_rules[id].name, name, size))
            return id;
    return -1;
}

static const struct option_use *find_use(const struct option_use *uses, int id)
{
    for (; uses->id != OPTION_COUNT; uses++)
        if ((int)uses->id == id)
            return uses;
    return NULL;
}

/* "size, mode and frame": what could have been written. */
static void list_options(const struct option_use *uses, char *ret, size_t size)
{
    size_t used = 0;
    *ret = '\0';
    for (; uses->id != OPTION_COUNT && used < size; uses++)
        used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", option_rules[uses->id].name);
}

/* ---- The grammar --------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes text[0..size) into a new string.  -EINVAL for a broken escape or an encoded NUL. */
static int decode(const char *text, size_t size, char **ret)
{
    char *out = malloc(size + 1), *to = out;
    if (!out)
        return fail(-ENOMEM, "address: out of memory");
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }
        bool whole = i + 2 < size;
        int high = whole ? hex_digit(text[i + 1]) : -1, low = whole ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) {
            free(out);
            return fail(-EINVAL, "address: '%.*s' has a '%%' that is not followed by two hexadecimal digits other than 00; "
                        "write %%25 for a percent sign", (int)(size < 80 ? size : 80), text);
        }
        *to++ = (char)(high * 16 + low);
        i += 2;
    }
    *to = '\0';
    *ret = out;
    return 0;
}

static int parse_names(const char *start, size_t size, struct address *address)
{
    const char *comma = memchr(start, ',', size);
    size_t first = comma ? (size_t)(comma - start) : size;
    int r = decode(start, first, &address->name);
    if (r == 0 && comma)
        r = decode(comma + 1, size - first - 1, &address->second);
    if (r < 0)
        return r;
    if (strlen(address->name) > ADDRESS_NAME_MAX || (address->second && strlen(address->second) > ADDRESS_NAME_MAX))
        return fail(-ENAMETOOLONG, "address: the name of '%.40s...' is longer than %d bytes", address->text, ADDRESS_NAME_MAX);
    return 0;
}

int address_parse(const char *text, struct address *ret)
{
    struct address address = { .text = NULL };
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (text[scheme] != ':' || scheme == 0 || scheme > ADDRESS_SCHEME_MAX)
        return fail(-EINVAL, "'%.80s' is not an address: it should look like scheme:name?option=value, for example "
                    "fifo:/tmp/jobs", text);
    memcpy(address.scheme, text, scheme);
    address.text = strdup(text);
    if (!address.text)
        return fail(-ENOMEM, "address: out of memory");
    const char *name = text + scheme + 1;
    int r = parse_names(name, strcspn(name, "?"), &address);
    if (r < 0) {
        address_free(&address);
        return r;
    }
    *ret = address;
    return 0;
}

static int check_bounds(const struct address *address, const struct option_use *use, const char *value)
{
    const struct option_rule *rule = &option_rules[use->id];
    int64_t number = address->value[use->id];
    if (rule->kind == KIND_WORD && use->words && !(use->words >> number & 1))
        return fail(-EINVAL, "%s: does not offer %s=%s", address->scheme, rule->name, value);
    if (use->low < use->high && (number < use->low || number > use->high)) {
        if (rule->kind == KIND_OCTAL)
            return fail(-EINVAL, "%s: mode=%s is out of range: 0%llo to 0%llo", address->scheme, value,
                        (unsigned long long)use->low, (unsigned long long)use->high);
        return fail(-EINVAL, "%s: %s=%s is out of range: %lld to %lld", address->scheme, rule->name, value,
                    (long long)use->low, (long long)use->high);
    }
    return 0;
}

/* One "name=value" of text[0..size). */
static int settle_option(struct address *address, const struct option_use *uses, const char *text, size_t size)
{
    size_t name = strcspn(text, "=&");
    int id = option_named(text, name);
    const struct option_use *use = id < 0 ? NULL : find_use(uses, id);
    if (!use) {
        char offers[256];
        list_options(uses, offers, sizeof offers);
        return fail(-EINVAL, "%s: has no option '%.*s'; its options are %s", address->scheme, (int)(name < 40 ? name : 40),
                    text, offers);
    }
    if (text[name] != '=')
        return fail(-EINVAL, "%s: option '%s' needs a value: %s", address->scheme, option_rules[id].name,
                    kind_values(&option_rules[id]));
    if (address_given(address, (enum option_id)id))
        return fail(-EINVAL, "%s: option '%s' is given twice", address->scheme, option_rules[id].name);
    char *value;
    int r = decode(text + name + 1, size - name - 1, &value);
    if (r < 0)
        return r;
    r = parse_value(address, (enum option_id)id, value);
    if (r < 0)
        r = fail(-EINVAL, "%s: %s=%.40s should be %s", address->scheme, option_rules[id].name, value,
                 kind_values(&option_rules[id]));
    else
        r = check_bounds(address, use, value);
    address->given |= UINT64_C(1) << id;
    free(value);
    return r;
}

int address_settle(struct address *address, const struct option_use *uses)
{
    for (const struct option_use *use = uses; use->id != OPTION_COUNT; use++)
        address->value[use->id] = use->fallback;
    const char *text = strchr(address->text, '?');
    while (text && *text) {
        text++;
        size_t size = strcspn(text, "&");
        int r = settle_option(address, uses, text, size);
        if (r < 0)
            return r;
        text += size;
    }
    return 0;
}

void address_free(struct address *address)
{
    free(address->text);
    free(address->name);
    free(address->second);
    *address = (struct address){ .text = NULL };
}

/* ---- Options in words ---------------------------------------------------------------------------------- */

static void word_at(const char *words, int64_t index, char *ret, size_t size)
{
    for (; index > 0; index--)
        words += strcspn(words, "|") + 1;
    snprintf(ret, size, "%.*s", (int)strcspn(words, "|"), words);
}

static void bytes_in_words(int64_t value, char *ret, size_t size)
{
    static const char suffix[] = { '\0', 'K', 'M', 'G' };
    int unit = 0;
    while (value >= 1024 && value % 1024 == 0 && unit < 3)
        value /= 1024, unit++;
    snprintf(ret, size, "%lld%.1s", (long long)value, &suffix[unit]);
}

/* Only the words that this mechanism allows. */
static void values_in_words(const struct option_use *use, char *ret, size_t size)
{
    const struct option_rule *rule = &option_rules[use->id];
    if (rule->kind != KIND_WORD || !use->words) {
        snprintf(ret, size, "%s", kind_values(rule));
        return;
    }
    size_t used = 0;
    *ret = '\0';
    for (int64_t index = 0; use->words >> index; index++) {
        char word[24];
        if (!(use->words >> index & 1))
            continue;
        word_at(rule->words, index, word, sizeof word);
        used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? "|" : "", word);
    }
}

void option_describe(const struct option_use *use, struct option_words *ret)
{
    const struct option_rule *rule = &option_rules[use->id];
    *ret = (struct option_words){ .name = rule->name, .help = rule->help };
    values_in_words(use, ret->values, sizeof ret->values);
    size_t size = sizeof ret->fallback;
    bool whole = use->fallback % 1000000000 == 0; /* seconds */
    switch (rule->kind) {
    case KIND_WORD: word_at(rule->words, use->fallback, ret->fallback, size); break;
    case KIND_SWITCH: word_at("off|on", use->fallback, ret->fallback, size); break;
    case KIND_OCTAL: snprintf(ret->fallback, size, "0%llo", (unsigned long long)use->fallback); break;
    case KIND_BYTES:
        if (use->fallback == 0)
            snprintf(ret->fallback, size, "system");
        else
            bytes_in_words(use->fallback, ret->fallback, size);
        break;
    case KIND_SELECTION: snprintf(ret->fallback, size, "first"); break;
    case KIND_SIGNAL: snprintf(ret->fallback, size, "RTMIN"); break;
    case KIND_DURATION:
        if (use->fallback == 0)
            snprintf(ret->fallback, size, "none");
        else
            snprintf(ret->fallback, size, "%lld%s", (long long)use->fallback / (whole ? 1000000000 : 1000000), whole ? "s" : "ms");
        break;
    case KIND_COUNT:
        if (use->fallback == 0)
            snprintf(ret->fallback, size, "system");
        else
            snprintf(ret->fallback, size, "%lld", (long long)use->fallback);
        break;
    case KIND_NUMBER: snprintf(ret->fallback, size, "%lld", (long long)use->fallback); break;
    case KIND_NAME: snprintf(ret->fallback, size, "none"); break;
    case KIND_USER: snprintf(ret->fallback, size, "one's own"); break;
    }
}
