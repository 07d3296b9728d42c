/* SPDX-License-Identifier: MIT */
/*
 * contract ROW [TEST...]: runs every test whose facets the row has.  A test is passed over only for a facet
 * that the row does not have, and says so; a facet that the row is required to have and the library does not
 * offer fails.  contract --rows: that every mechanism and variant has a row.
 */
#include <stdio.h>
#include <stdlib.h>

#include "contract.h"
#include "heir.h"

static const struct contract_test *const groups[] = {
    message_tests, waiting_tests, ending_tests, process_tests, object_tests, special_tests,
};

static const struct { uint64_t bit; const char *words; } facets[] = {
    { TONG_HAS_LISTENER, "a listener" },
    { TONG_HAS_PAIR, "pairs" },
    { TONG_HAS_REMOVE, "a name to remove" },
    { TONG_HAS_ZERO_COPY, "memory to lend" },
    { TONG_HAS_SELECT, "selection by type" },
    { TONG_HAS_READINESS | HAS_READY, "a descriptor to poll" },
    { TONG_HAS_FINISH, "an end of its own" },
    { TONG_HAS_SYNC, "a disk behind it" },
    { TONG_HAS_PEER, "a peer it knows" },
    { TONG_HAS_DESCRIPTOR, "a descriptor to hand over" },
    { TONG_HAS_AFTER_FORK, "after_fork" },
    { TONG_HAS_TWO_WAY, "two directions in one object" },
    { TONG_HAS_TWO_WAY_PAIR, "two directions by two objects" },
    { TONG_HAS_MANY_SENDERS, "several senders" },
    { TONG_HAS_MANY_RECEIVERS, "several receivers" },
    { HAS_BOUNDARIES, "message boundaries" },
    { HAS_ANY_BYTES, "room for any byte" },
    { HAS_PRIORITY, "priorities" },
    { HAS_TEXT, "messages of any text" },
    { HAS_NUMBERS, "messages that are numbers" },
    { HAS_EMPTY, "empty messages" },
    { HAS_TYPE, "types" },
    { HAS_DEATH, "a way to tell death from the end" },
    { HAS_END, "an end that closing marks" },
    { HAS_BROKEN, "a receiver that can be missed" },
    { HAS_FULL, "a bound to be full at" },
    { HAS_NAME, "a name" },
    { HAS_PATH, "a path" },
    { HAS_BOTH, "both directions" },
    { HAS_FORKING, "ends made to be inherited" },
    { HAS_NO_FORKING, "ends that refuse to be inherited" },
    { HAS_ROOM, "messages of 1 MiB" },
    { HAS_OTHER, "a peer of its own making" },
    { HAS_LONG, "messages above PIPE_BUF" },
    { HAS_HEIRS, "a way through exec" },
    { HAS_DROP, "a policy for being full" },
    { HAS_SENDER, "the sender of each message" },
    { HAS_CREATE, "the option create" },
    { HAS_LOSS, "messages to lose" },
    { HAS_MAILBOX, "a life between its ends" },
};

static const char *facet_words(uint64_t lacking)
{
    for (size_t i = 0; i < sizeof facets / sizeof *facets; i++)
        if (lacking & facets[i].bit)
            return facets[i].words;
    return "a facet";
}

static bool find_variant(const struct row *row, tong_mechanism_info *ret)
{
    for (size_t i = 0; ; i++) {
        tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
        if (tong_mechanism_describe(i, &info) < 0)
            return false;
        if (!strcmp(info.scheme, row->scheme) && !strcmp(info.variant, row->variant)) {
            *ret = info;
            return true;
        }
    }
}

/* ---- A row ------------------------------------------------------------------------------------------------- */

static const struct row *current_row;
static const struct contract_test *current_test;

static void run_current(int unused)
{
    (void)unused;
    current_test->run(current_row);
}

static void test_required(int unused)
{
    (void)unused;
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    MUST(find_variant(current_row, &info), "there is no mechanism %s:%s", current_row->scheme, current_row->variant);
    uint64_t lacking = current_row->required & ~(uint64_t)info.offers;
    MUST(lacking == 0, "%s: %s must have %s, and does not offer it", info.scheme, info.variant, facet_words(lacking));
}

/* What a test is not for has another test, for just those; what a row lacks is said. */
static void run_test(const struct contract_test *test, uint64_t has)
{
    char name[128], reason[160];
    if (test->unless & has)
        return;
    snprintf(name, sizeof name, "%s/%s", current_row->name, test->name);
    uint64_t lacking = test->needs & ~has;
    if (lacking) {
        snprintf(reason, sizeof reason, "it does not offer %s", facet_words(lacking));
        frame_skip(name, reason);
        return;
    }
    current_test = test;
    frame_run(name, run_current, 0, test->seconds);
}

/* The policies come with the option, which any mechanism may take. */
static uint64_t options_of(const struct row *row)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    for (size_t i = 0; tong_mechanism_option(row->scheme, i, &option) == 0; i++)
        if (option.noun == TONG_HAS_CHANNEL && !strcmp(option.name, "full"))
            return HAS_DROP;
    return 0;
}

static void run_row(const struct row *row)
{
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    char name[64];
    snprintf(name, sizeof name, "%s/required", row->name);
    current_row = row;
    frame_run(name, test_required, 0, 10);
    if (!find_variant(row, &info))
        return;
    for (size_t group = 0; group < sizeof groups / sizeof *groups; group++)
        for (const struct contract_test *test = groups[group]; test->name; test++)
            run_test(test, info.offers | row->has | options_of(row) | (row->has & HAS_NUMBERS ? 0 : HAS_TEXT));
}

/* ---- All rows ------------------------------------------------------------------------------------------------ */

static void test_every_variant_has_a_row(int unused)
{
    (void)unused;
    tong_mechanism_info info = TONG_MECHANISM_INFO_INIT;
    size_t count = 0;
    for (; tong_mechanism_describe(count, &info) == 0; count++) {
        bool found = !(info.offers & TONG_HAS_CHANNEL); /* other nouns have rows of their own */
        for (int i = 0; i < rows_count && !found; i++)
            found = !strcmp(rows[i].scheme, info.scheme) && !strcmp(rows[i].variant, info.variant);
        MUST(found, "%s: %s has no row in test/contract/rows.c", info.scheme, info.variant);
    }
    MUST(count > 0, "the table of mechanisms is empty");
}

static int list_rows(void)
{
    for (int i = 0; i < rows_count; i++)
        puts(rows[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--list"))
        return list_rows();
    if (argc == 4 && !strcmp(argv[1], "--heir"))
        return heir_main(argv[2], argv[3]);
    frame_begin("contract", argc - 1, argv + 1);
    if (!strcmp(argv[1], "--rows")) {
        frame_run("rows/complete", test_every_variant_has_a_row, 0, 10);
        return frame_end();
    }
    for (int i = 0; i < rows_count; i++)
        if (!strcmp(rows[i].name, argv[1])) {
            run_row(&rows[i]);
            return frame_end();
        }
    fprintf(stderr, "contract: there is no row '%s'\n", argv[1]);
    return 2;
}
