/* SPDX-License-Identifier: MIT */
/*
 * tong region: shared memory from the command line: make it, write into it, read it, look at it.
 *
 * What is read is copied first and printed afterwards, without the lock: whoever reads our output may be slow, and
 * what is in the memory may change at any moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "command.h"
#include "patience.h"
#include "region_describe.h"
#include "report.h"
#include "side.h"
#include "text.h"
#include "tong/tong.h"

struct settings {
    const char *size, *mode, *at;
    bool lock, text, excl, json;
    int64_t timeout;
};

#define LOCKED FLAG(lock, "hold the region's lock meanwhile"), \
    VALUE(timeout, TAKES_DURATION, "T", "with --lock: give up when it is not to be had for so long")

/* ---- What the verbs share -------------------------------------------------------------------------------- */

/* A number of bytes, as in an address; not given: `fallback`. */
static int read_bytes(const char *option, const char *text, uint64_t fallback, uint64_t *ret)
{
    int64_t bytes = 0;
    if (text && parse_bytes(text, &bytes) < 0)
        return fail_usage("option '--%s': '%s' should be bytes such as 4096, 64K or 4M", option, text);
    *ret = text ? (uint64_t)bytes : fallback;
    return CODE_DONE;
}

/* 0, or an exit code.  Whatever is made by it is said. */
static int open_region(const char *address, uint32_t flags, tong_region **ret)
{
    tong_region_info info = TONG_REGION_INFO_INIT;
    int r = tong_region_open(address, flags, ret);
    if (r < 0)
        return fail_library(r, NULL);
    if (tong_region_describe(*ret, &info) == 0 && info.flags & TONG_INFO_CREATED)
        say("made %s, %llu byte%s", info.object, (unsigned long long)info.bytes, plural(info.bytes, "", "s"));
    return CODE_DONE;
}

/* If that was asked for; closing the region gives it back. */
static int lock_region(tong_region *region, const struct settings *set)
{
    int64_t deadline = deadline_after(set->timeout);
    int r;
    do
        r = set->lock ? tong_region_lock(region, patience_left(deadline)) : 0;
    while (r == -EINTR);
    return r < 0 ? fail_library(r, NULL) : CODE_DONE;
}

static int outside(const tong_region *region, uint64_t at, uint64_t size)
{
    size_t bytes = tong_region_size(region);
    say("the region has %zu byte%s: %llu from %llu on are not all in it", bytes, plural(bytes, "", "s"),
        (unsigned long long)size, (unsigned long long)at);
    return CODE_FULL;
}

static bool is_inside(const tong_region *region, uint64_t at, uint64_t size)
{
    return at <= tong_region_size(region) && size <= tong_region_size(region) - at;
}

/* ---- create ---------------------------------------------------------------------------------------------- */

static const struct option_row create_options[] = {
    VALUE(size, TAKES_TEXT, "BYTES", "how large: 4096, 64K, 4M"),
    VALUE(mode, TAKES_TEXT, "MODE", "its permissions, in place of 0600"),
    FLAG(excl, "fail if it is there already"),
    OPTIONS_LAST,
};

/* The address with the options of the command line added; NULL, said, when it has one of them already. */
static char *full_address(const char *address, const struct settings *set)
{
    const struct { const char *name, *value; } added[] = {
        { "create", set->excl ? "excl" : NULL }, { "size", set->size }, { "mode", set->mode },
    };
    char *full = strdup(address);
    for (size_t i = 0; i < sizeof added / sizeof *added && full; i++)
        if (added[i].value)
            full = options_add(full, added[i].name, added[i].value);
    return full;
}

/* Whether it outlives this process: it has a name, by which a region is made or found. */
static bool can_stay(const char *address)
{
    tong_mechanism_info mechanism;
    const char *name = strchr(address, ':');
    if (!name || !find_mechanism(address, &mechanism))
        return true;
    return name[1] && name[1] != '?' && noun_takes(TONG_HAS_REGION, mechanism.scheme, "create", NULL);
}

static int run_create(const struct command *self, int argc, char **argv)
{
    struct settings set = { .size = NULL };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (!can_stay(argv[0]))
        return fail_usage("'%s' has no name, so the region would be gone with this command", argv[0]);
    char *address = full_address(argv[0], &set);
    if (!address)
        return CODE_USAGE;
    tong_region *region;
    code = open_region(address, TONG_READ | TONG_WRITE, &region);
    free(address);
    if (code == 0)
        tong_region_close(region);
    return code;
}

static const struct command cmd_create = {
    "region create", NULL, "make a region: bytes that processes share, all of them 0", "ADDRESS --size BYTES",
    "A region that is there already is left as it is, unless it is smaller than asked.",
    "tong region create shm:jobs --size 4K; tong rm shm:jobs", create_options, 1, 1, 0, run_create,
};

/* ---- write ----------------------------------------------------------------------------------------------- */

static const struct option_row write_options[] = {
    VALUE(at, TAKES_TEXT, "OFFSET", "from this byte on: 0, 64K ..."),
    FLAG(text, "with a NUL behind it, as strcpy(3) writes"),
    LOCKED,
    OPTIONS_LAST,
};

/* All of standard input, but no more than one byte above what has room. */
static int read_input(struct text *text, size_t room)
{
    while (text->used <= room) {
        size_t wanted = room + 1 - text->used < 65536 ? room + 1 - text->used : 65536;
        text_reserve(text, wanted);
        ssize_t size = read(STDIN_FILENO, text->data + text->used, wanted);
        if (size < 0 && errno != EINTR)
            return fail_system(-errno, "standard input");
        if (size == 0)
            break;
        text->used += size > 0 ? (size_t)size : 0;
    }
    return CODE_DONE;
}

static int write_bytes(tong_region *region, uint64_t at, const struct text *text)
{
    if (!is_inside(region, at, text->used))
        return outside(region, at, text->used);
    if (text->used)
        memcpy((char *)tong_region_data(region) + at, text->data, text->used);
    return CODE_DONE;
}

/* The words, or standard input, which is read before the lock is taken: it may be long in coming. */
static int gather(const tong_region *region, const char *words, bool as_text, struct text *ret)
{
    int code = CODE_DONE;
    if (words)
        text_add(ret, words, strlen(words));
    else
        code = read_input(ret, tong_region_size(region));
    if (code == 0 && as_text)
        text_add(ret, "", 1);
    return code;
}

static int run_write(const struct command *self, int argc, char **argv)
{
    struct settings set = { .timeout = TONG_FOREVER };
    struct text text = TEXT_INIT;
    tong_region *region;
    uint64_t at = 0;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = read_bytes("at", set.at, 0, &at)))
        return code;
    if ((code = open_region(argv[0], TONG_READ | TONG_WRITE, &region)))
        return code;
    code = gather(region, count > 1 ? argv[1] : NULL, set.text, &text);
    if (code == 0 && (code = lock_region(region, &set)) == 0)
        code = write_bytes(region, at, &text);
    tong_region_close(region);
    text_free(&text);
    return code;
}

static const struct command cmd_write = {
    "region write", NULL, "write TEXT, or standard input, into a region", "ADDRESS [TEXT]",
    "All of it or, where it does not fit, nothing (exit code 7).  What it does not cover stays as it was.\n"
    "With size= in the address a region that is missing is made.",
    "tong region create shm:jobs --size 4K; tong region write shm:jobs hello --text; tong rm shm:jobs",
    write_options, 1, 2, 0, run_write,
};

/* ---- read ------------------------------------------------------------------------------------------------ */

static const struct option_row read_options[] = {
    VALUE(at, TAKES_TEXT, "OFFSET", "from this byte on"),
    VALUE(size, TAKES_TEXT, "BYTES", "so many; else to the end"),
    FLAG(text, "up to the first NUL, as C and its strings do"),
    LOCKED,
    OPTIONS_LAST,
};

static int copy_bytes(const tong_region *region, uint64_t at, const char *asked, bool as_text, struct text *ret)
{
    uint64_t size = tong_region_size(region), rest = at < size ? size - at : 0;
    int code = read_bytes("size", asked, rest, &size);
    if (code)
        return code;
    if (!is_inside(region, at, size))
        return outside(region, at, size);
    if (size)
        text_add(ret, (const char *)tong_region_data(region) + at, size);
    if (as_text && size)
        ret->used = strnlen(ret->data, size);
    return CODE_DONE;
}

/* Raw, but a terminal is only shown what it can show; and a text gets the end of a line there. */
static int print_bytes(struct text *bytes, bool as_text)
{
    struct text shown = TEXT_INIT;
    bool terminal = isatty(STDOUT_FILENO);
    if (terminal)
        text_visible(&shown, bytes->data, bytes->used, "\n\t");
    if (terminal || as_text)
        text_add(terminal ? &shown : bytes, "\n", 1);
    const struct text *out = terminal ? &shown : bytes;
    int code = write_output(out->data, out->used);
    text_free(&shown);
    return code;
}

static int run_read(const struct command *self, int argc, char **argv)
{
    struct settings set = { .timeout = TONG_FOREVER };
    struct text bytes = TEXT_INIT;
    tong_region *region;
    uint64_t at = 0;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = read_bytes("at", set.at, 0, &at)))
        return code;
    if ((code = open_region(argv[0], TONG_READ, &region)))
        return code;
    if ((code = lock_region(region, &set)) == 0)
        code = copy_bytes(region, at, set.size, set.text, &bytes);
    tong_region_close(region);
    if (code == 0)
        code = print_bytes(&bytes, set.text);
    text_free(&bytes);
    return code;
}

static const struct command cmd_read = {
    "region read", NULL, "print the bytes of a region", "ADDRESS",
    "Raw, for other programs; escaped on a terminal.  --text prints one line.",
    "tong region create shm:jobs --size 4K; tong region write shm:jobs hello; "
    "tong region read shm:jobs --text; tong rm shm:jobs",
    read_options, 1, 1, 0, run_read,
};

/* ---- info ------------------------------------------------------------------------------------------------ */

static const struct option_row info_options[] = {
    FLAG(json, "as JSON (doc/json.md)"),
    OPTIONS_LAST,
};

static int run_info(const struct command *self, int argc, char **argv)
{
    struct settings set = { .json = false };
    tong_region_info info = TONG_REGION_INFO_INIT;
    tong_region *region;
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO || (code = open_region(argv[0], TONG_READ, &region)))
        return code;
    int r = tong_region_describe(region, &info);
    code = r < 0 ? fail_library(r, NULL) : region_describe(argv[0], &info, set.json);
    tong_region_close(region);
    return code;
}

static const struct command cmd_info = {
    "region info", NULL, "what a region is: its size, pages, owner, and who holds its lock", "ADDRESS", NULL,
    "tong region create shm:jobs --size 4K; tong region info shm:jobs; tong rm shm:jobs",
    info_options, 1, 1, 0, run_info,
};

static const struct command *const verbs[] = { &cmd_create, &cmd_write, &cmd_read, &cmd_info, NULL };

const struct command cmd_region = {
    "region", "Objects", "memory that processes share, as plain bytes: create, write, read, info",
    "create, write, read or info",
    "The same bytes are seen by C (shm_open, shmget, mmap) and by Python (multiprocessing.shared_memory, mmap).",
    "tong region create shm:jobs --size 4K\ntong region write shm:jobs hello\ntong region read shm:jobs --text\n"
    "tong rm shm:jobs",
    NULL, 0, 0, 0, NULL, verbs,
};
