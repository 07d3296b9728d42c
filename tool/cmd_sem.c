/* SPDX-License-Identifier: MIT */
/*
 * tong sem: counters to wait on, from a shell.
 *
 * wait and post make the semaphore if it is missing, so that either may come first; get and set never do, because
 * looking must not make anything.  wait never asks the kernel to undo it: this process ends at once, and with it
 * what it took would come back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "command.h"
#include "json.h"
#include "patience.h"
#include "report.h"
#include "text.h"
#include "tong/mechanism.h"
#include "tong/semaphore.h"

/* ---- What the verbs share ---------------------------------------------------------------------------------- */

/* Opens `address` with `create` unless it says otherwise, and says what was made.  0 or an exit code. */
static int open_address(const char *address, const char *create, tong_semaphore **ret)
{
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    char *full = text_with_option(address, "create", create);
    int r = tong_semaphore_open(full, 0, ret);
    free(full);
    if (r < 0)
        return fail_library(r, NULL);
    if (tong_semaphore_get(*ret, 0, &info) == 0 && info.flags & TONG_INFO_CREATED)
        say("made %s", info.object);
    return CODE_DONE;
}

/* The exit code of what the library returned, after saying why it failed. */
static int code_of(int r)
{
    return r < 0 ? fail_library(r, NULL) : CODE_DONE;
}

/* Closes, and returns the exit code of what was done before. */
static int close_after(tong_semaphore *semaphore, int code)
{
    int closed = tong_semaphore_close(semaphore);
    return code || closed >= 0 ? code : fail_library(closed, NULL);
}

/* A number from 0 to UINT32_MAX; 0 or an exit code. */
static int read_number(const char *what, const char *text, unsigned *ret)
{
    int64_t number;
    if (parse_count(text, 0, &number) < 0 || number < 0 || number > UINT32_MAX)
        return fail_usage("%s '%s' should be a number from 0", what, text);
    *ret = (unsigned)number;
    return CODE_DONE;
}

/* ---- create, wait, post, set ------------------------------------------------------------------------------- */

struct settings {
    bool json;
    int64_t value, count, timeout;
};

static const struct option_row create_options[] = {
    VALUE(value, TAKES_NUMBER, "N", "what each counter holds at first (0)"),
    VALUE(count, TAKES_COUNT, "N", "counters in the set (1; sysvsem: only)"),
    OPTIONS_LAST,
};

static char *with_number(char *address, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return number == NOT_GIVEN || !address ? address : options_add(address, name, text);
}

static int run_create(const struct command *self, int argc, char **argv)
{
    struct settings set = { .value = NOT_GIVEN, .count = NOT_GIVEN };
    tong_semaphore *semaphore;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    char *address = with_number(with_number(strdup(argv[0]), "value", set.value), "count", set.count);
    code = address ? open_address(address, "excl", &semaphore) : CODE_USAGE;
    free(address);
    return code ? code : close_after(semaphore, CODE_DONE);
}

static const struct option_row wait_options[] = {
    VALUE(timeout, TAKES_DURATION, "T", "give up after so long (0: at once, exit code 7)"),
    OPTIONS_LAST,
};

/* ADDRESS [INDEX]; 0 or an exit code. */
static int open_counter(int count, char **argv, const char *create, tong_semaphore **ret, unsigned *ret_index)
{
    *ret_index = 0;
    int code = count > 1 ? read_number("INDEX", argv[1], ret_index) : CODE_DONE;
    return code ? code : open_address(argv[0], create, ret);
}

/* Who was stopped and goes on waits on: the kernel begins semop(2) again for nobody. */
static int wait_until(tong_semaphore *semaphore, unsigned index, int64_t timeout)
{
    int64_t deadline = deadline_after(timeout);
    int r;
    do
        r = tong_semaphore_wait(semaphore, index, patience_left(deadline));
    while (r == -EINTR);
    return r;
}

static int run_wait(const struct command *self, int argc, char **argv)
{
    struct settings set = { .timeout = TONG_FOREVER };
    tong_semaphore *semaphore;
    unsigned index;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = open_counter(count, argv, "yes", &semaphore, &index)))
        return code;
    return close_after(semaphore, code_of(wait_until(semaphore, index, set.timeout)));
}

static const struct option_row no_options[] = { OPTIONS_LAST };

static int run_post(const struct command *self, int argc, char **argv)
{
    tong_semaphore *semaphore;
    unsigned index;
    int count, code = options_read(self, argc, argv, NULL, &count);
    if (code != OPTIONS_GO || (code = open_counter(count, argv, "yes", &semaphore, &index)))
        return code;
    return close_after(semaphore, code_of(tong_semaphore_post(semaphore, index)));
}

static int run_set(const struct command *self, int argc, char **argv)
{
    tong_semaphore *semaphore;
    unsigned index, value = 0;
    int count, code = options_read(self, argc, argv, NULL, &count);
    if (code != OPTIONS_GO || (code = read_number("VALUE", argv[count - 1], &value)) ||
        (code = open_counter(count - 1, argv, "no", &semaphore, &index)))
        return code;
    return close_after(semaphore, code_of(tong_semaphore_set(semaphore, index, value)));
}

/* ---- get --------------------------------------------------------------------------------------------------- */

static const struct option_row get_options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static void count_words(uint32_t count, char ret[16])
{
    if (count == UINT32_MAX)
        snprintf(ret, 16, "-");
    else
        snprintf(ret, 16, "%" PRIu32, count);
}

/* The last to change it, as "4711", or "4711, gone". */
static void last_words(const tong_identity *last, char ret[32])
{
    if (last->pid <= 0)
        snprintf(ret, 32, "-");
    else
        snprintf(ret, 32, "%" PRId64 "%s", last->pid, tong_identity_alive(last) == 1 ? "" : ", gone");
}

static void print_counter(unsigned index, const tong_semaphore_info *info)
{
    char waiting[16], zero[16], last[32];
    count_words(info->waiting, waiting);
    count_words(info->zero, zero);
    last_words(&info->last, last);
    printf("%-7u%-12" PRIu32 "%-9s%-10s%s\n", index, info->value, waiting, zero, last);
}

static void json_counter(struct json *json, unsigned index, const tong_semaphore_info *info)
{
    json_open(json, '{');
    json_number(json, "index", index);
    json_number(json, "value", info->value);
    json_known(json, "waiting", info->waiting, info->waiting != UINT32_MAX);
    json_known(json, "waiting_for_zero", info->zero, info->zero != UINT32_MAX);
    json_name(json, "last");
    json_identity(json, &info->last);
    json_close(json, '}');
}

static void json_head(struct json *json, const char *address, const tong_semaphore_info *info, unsigned count)
{
    const struct { const char *name, *value; } words[] = {
        { "address", address }, { "scheme", info->scheme }, { "object", info->object },
    };
    json_open(json, '{');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        json_text(json, words[i].name, words[i].value);
    }
    json_number(json, "count", count);
    json_name(json, "counters");
    json_open(json, '[');
}

/* Counters first to end - 1, as JSON or as a table. */
static int show_all(tong_semaphore *semaphore, const char *address, unsigned first, unsigned end, struct json *json)
{
    int r = 0;
    for (unsigned i = first; i < end && r == 0; i++) {
        tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
        r = tong_semaphore_get(semaphore, i, &info);
        if (r < 0)
            break;
        if (i == first && json)
            json_head(json, address, &info, tong_semaphore_count(semaphore));
        else if (i == first)
            puts("INDEX  VALUE       WAITING  FOR ZERO  LAST CHANGED BY");
        if (json)
            json_counter(json, i, &info);
        else
            print_counter(i, &info);
    }
    return r;
}

static int show_json(tong_semaphore *semaphore, const char *address, unsigned first, unsigned end)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    int r = show_all(semaphore, address, first, end, &json);
    if (r < 0) {
        text_free(&text);
        return code_of(r);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return json_print(&json);
}

static int show_value(tong_semaphore *semaphore, unsigned index)
{
    tong_semaphore_info info = TONG_SEMAPHORE_INFO_INIT;
    int r = tong_semaphore_get(semaphore, index, &info);
    if (r == 0)
        printf("%" PRIu32 "\n", info.value);
    return r;
}

static int run_get(const struct command *self, int argc, char **argv)
{
    struct settings set = { .json = false };
    tong_semaphore *semaphore;
    unsigned index;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = open_counter(count, argv, "no", &semaphore, &index)))
        return code;
    unsigned end = count > 1 ? index + 1 : tong_semaphore_count(semaphore);
    if (set.json)
        code = show_json(semaphore, argv[0], index, end);
    else
        code = code_of(count > 1 ? show_value(semaphore, index) : show_all(semaphore, argv[0], index, end, NULL));
    return close_after(semaphore, code);
}

/* ---- The verbs --------------------------------------------------------------------------------------------- */

static const struct command sem_create = {
    "sem create", NULL, "make a semaphore, or a set of them, that does not exist yet", "ADDRESS",
    "Exits with 1 when it exists (?create=yes takes what is there).  Mode 0600, unless ?mode= says otherwise.",
    "tong sem create sysvsem:1234 --count 10 --value 1; tong sem get sysvsem:1234; tong rm sysvsem:1234",
    create_options, 1, 1, 0, run_create,
};

static const struct command sem_wait = {
    "sem wait", NULL, "take 1 from a counter, waiting while it is 0", "ADDRESS [INDEX]",
    "Makes the semaphore, with 0, if it is missing.  What is taken stays taken when this command ends, and when the\n"
    "script dies that called it: nothing is undone.  For a turn that comes back by itself: tong lock.",
    "tong sem post sem:/ready; tong sem wait sem:/ready --timeout 5s && echo go; tong rm sem:/ready",
    wait_options, 1, 2, 0, run_wait,
};

static const struct command sem_post = {
    "sem post", NULL, "add 1 to a counter, which wakes one who waits", "ADDRESS [INDEX]",
    "Makes the semaphore, with 0, if it is missing.  Never waits.",
    "tong sem post sem:/ready; tong sem get sem:/ready 0; tong rm sem:/ready",
    no_options, 1, 2, 0, run_post,
};

static const struct command sem_get = {
    "sem get", NULL, "show a counter, or all, with who waits", "ADDRESS [INDEX]",
    "With INDEX the number alone.  Without, a line for each counter; - is what the mechanism does not tell.",
    "tong sem create sem:/seats --value 3; tong sem get sem:/seats; tong rm sem:/seats",
    get_options, 1, 2, 0, run_get,
};

static const struct command sem_set = {
    "sem set", NULL, "give a counter a value (sysvsem: only)", "ADDRESS [INDEX] VALUE",
    "Wakes those whom it lets go on.  What processes hold with undo is forgotten for that counter.",
    "tong sem create sysvsem:1234; tong sem set sysvsem:1234 0 5; tong rm sysvsem:1234",
    no_options, 2, 3, 0, run_set,
};

static const struct command *const verbs[] = { &sem_create, &sem_wait, &sem_post, &sem_get, &sem_set, NULL };

const struct command cmd_sem = {
    "sem", "Objects", "counters to wait on: make, wait, post, look, set", "create, wait, post, get or set",
    "INDEX says which counter of a set, from 0; without it the first.",
    "tong sem create sem:/turn --value 1; tong sem wait sem:/turn; tong sem post sem:/turn; tong rm sem:/turn",
    no_options, 1, -1, 0, NULL, verbs,
};
