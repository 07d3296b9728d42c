/* SPDX-License-Identifier: MIT */
/* tong explain: finds out what is asked for, and in which language; nothing here knows a mechanism by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "side.h"
#include "explain/explain.h"
#include "report.h"
#include "stop.h"
#include "text.h"

struct settings {
    bool json;
    const char *lang;
};

static const struct option_row options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
    VALUE(lang, TAKES_TEXT, "en|ko", "the language; otherwise that of the name, then the locale's"),
    OPTIONS_LAST,
};

const struct ability abilities[] = {
    { TONG_HAS_CHANNEL, "channel", "messages can be sent and received" },
    { TONG_HAS_LISTENER, "listener", "a server that accepts many clients" },
    { TONG_HAS_REGION, "region", "plain memory that processes read and write themselves" },
    { TONG_HAS_SEMAPHORE, "semaphore", "counters to wait on" },
    { TONG_HAS_LOCK, "lock", "a lock that ends with its holder (tong lock)" },
    { TONG_HAS_PAIR, "pair", "both ends at once, for parent, child and siblings" },
    { TONG_HAS_TWO_WAY, "two_way", "one object serves both directions" },
    { TONG_HAS_TWO_WAY_PAIR, "two_way_pair", "two objects in one address serve both directions" },
    { TONG_HAS_MANY_SENDERS, "many_senders", "many senders at once" },
    { TONG_HAS_MANY_RECEIVERS, "many_receivers", "many receivers at once" },
    { TONG_HAS_FINISH, "finish", "the sender can say that this is the end" },
    { TONG_HAS_SYNC, "sync", "the sender can wait until messages are on the disk" },
    { TONG_HAS_SELECT, "select", "receivers choose messages by type" },
    { TONG_HAS_READINESS, "readiness", "gives a descriptor for poll and epoll" },
    { TONG_HAS_ZERO_COPY, "zero_copy", "messages can be written and read where they lie" },
    { TONG_HAS_PEER, "peer", "says who is at the other end" },
    { TONG_HAS_DESCRIPTOR, "descriptor", "is a descriptor that programs inherit" },
    { TONG_HAS_AFTER_FORK, "after_fork", "a forked child can take an open channel over" },
    { TONG_HAS_REMOVE, "remove", "has a name that tong rm removes" },
    { 0, NULL, NULL },
};

const struct model models[] = {
    { TONG_HAS_CHANNEL, "message passing", NULL,
      "blocking: who receives sleeps until something comes; non-blocking with timeout 0" },
    { TONG_HAS_REGION, "shared memory", "both ways; half duplex when the processes take turns",
      "non-blocking: nobody is told of a change; look again and again (busy wait), or take turns by a semaphore or a "
      "lock" },
    { TONG_HAS_SEMAPHORE, "synchronisation", "none: it carries no messages",
      "blocking: who waits sleeps until the counter is above 0; non-blocking with timeout 0" },
    { 0, NULL, NULL },
};

const char *direction_words(const tong_mechanism_info *mechanism)
{
    if (mechanism->offers & TONG_HAS_CHANNEL)
        return mechanism->offers & TONG_HAS_TWO_WAY ? "both ways" : "one way";
    return mechanism->offers & TONG_HAS_REGION ? "both ways" : "none";
}

const char *direction_of(const struct model *model, const tong_mechanism_info *mechanism)
{
    if (model->direction)
        return model->direction;
    if (mechanism->offers & TONG_HAS_TWO_WAY_PAIR && !(mechanism->offers & TONG_HAS_TWO_WAY))
        return "one way; two of them, in one address or as a pair, go both ways";
    return direction_words(mechanism);
}

const char *identity_meaning(uint32_t identity)
{
    static const char *const words[] = {
        "the mechanism does not know who sent",
        "the kernel vouches for the sender of each message",
        "the kernel vouches for who made the other end",
        "the last process that sent; with several senders it may be another",
        "what the sender says of itself; it can be forged",
    };
    return identity < sizeof words / sizeof *words ? words[identity] : "unknown";
}

/* Who asks with letters beyond ASCII is told the Korean names: the first of each page. */
static int unknown_in_korean(const char *name)
{
    struct text known = TEXT_INIT;
    for (const struct page *page = explain_pages; page->name; page++) {
        const char *list = page->names, *word;
        size_t size = next_word(&list, &word);
        if (!strcmp(page->language, "ko") && page_offered(page))
            text_print(&known, "%s%.*s", known.used ? ", " : "", (int)size, word);
    }
    int code = fail_usage("there is no mechanism '%s'; there are %s", name, known.data);
    text_free(&known);
    return code;
}

static int unknown(const char *scheme)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    char known[256] = "";
    for (const char *letter = scheme; *letter; letter++)
        if ((unsigned char)*letter >= 0x80)
            return unknown_in_korean(scheme);
    const char *before = "";
    for (size_t i = 0, used = 0; tong_mechanism_describe(i, &mechanism) == 0 && used < sizeof known; i++) {
        if (strcmp(before, mechanism.scheme))
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", mechanism.scheme);
        before = mechanism.scheme;
    }
    return fail_usage("there is no mechanism '%s'; there are %s", scheme, known);
}

/* The locale for messages, as setlocale(3) finds it. */
static const char *locale_language(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcspn(value, "_.@") == 2 && !strncmp(value, "ko", 2) ? "ko" : "en";
    }
    return "en";
}

/* What was asked for; else who asks with a Korean name reads Korean. */
static const char *choose_language(const char *asked, const struct page *page)
{
    if (asked)
        return asked;
    return page && !strcmp(page->language, "ko") ? "ko" : locale_language();
}

/* Operands are one name: 이름 있는 파이프. */
static void join(char **words, int count, char *ret, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? " " : "", words[i]);
}

/* A scheme stands for itself, also within an address; what else has a page may be called by its names. */
static int explain(const char *name, const struct settings *set)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    bool scheme = find_mechanism(name, &mechanism);
    const struct page *page = page_find(name);
    if (!scheme && !page)
        return unknown(name);
    speak(choose_language(set->lang, scheme ? NULL : page));
    page = scheme ? page_for_scheme(mechanism.scheme, spoken()) : page_translated(page, spoken());
    char first[64] = "";
    if (scheme)
        snprintf(first, sizeof first, "%s", mechanism.scheme);
    else
        page_scheme(page, first, sizeof first);
    if (set->json)
        return *first ? explain_json(first) : fail_usage("%s: it is no mechanism, so JSON says nothing of it", name);
    explain_page(page, *first ? first : NULL);
    return CODE_DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { false, NULL };
    char name[256] = "";
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.lang && strcmp(set.lang, "en") && strcmp(set.lang, "ko"))
        return fail_usage("--lang %s: en or ko", set.lang);
    join(argv, count, name, sizeof name);
    stop_catch(); /* what the probes made is theirs to remove */
    if (count)
        return stop_end(explain(name, &set));
    if (set.json)
        return explain_json(NULL);
    speak(choose_language(set.lang, NULL));
    explain_table();
    return CODE_DONE;
}

const struct command cmd_explain = {
    "explain", "Start here", "the mechanisms: what each is, can and needs, and its limits here", "[NAME]",
    "Without NAME the table of all.  NAME is a scheme, an address, or what people say, also in Korean: pipe,\n"
    "shared-memory, 이름있는파이프.  What a mechanism is and can comes from the library, limits and figures from this\n"
    "machine at this moment: measuring takes part of a second.\n"
    "Its example shows standard output; that an object was made is said on standard error.",
    "tong explain; tong explain msgq; tong explain 파이프", options, 0, -1, 0, run,
};
