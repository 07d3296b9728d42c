/* SPDX-License-Identifier: MIT */
/* What `tong region info` prints. */
#include "region_describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "report.h"
#include "text.h"

static void print_process(const char *label, const tong_identity *process, const char *nobody)
{
    if (process->source == TONG_IDENTITY_NONE)
        printf("  %-10s%s\n", label, nobody);
    else
        printf("  %-10sprocess %" PRId64 "%s\n", label, process->pid, tong_identity_alive(process) == 0 ? ", which is gone" : "");
}

static void print_number(const char *label, uint64_t number, const char *unit)
{
    if (number != TONG_UNKNOWN)
        printf("  %-10s%" PRIu64 " %s\n", label, number, unit);
}

static int print_words(const tong_region_info *region)
{
    struct text object = TEXT_INIT;
    text_visible(&object, region->object, strlen(region->object), "");
    text_print(&object, "\n");
    fputs(object.data, stdout);
    text_free(&object);
    print_number("size", region->bytes, "bytes");
    printf("  %-10s%" PRIu64 " of %" PRIu64 " bytes\n", "pages", (region->bytes + region->page - 1) / region->page, region->page);
    print_number("resident", region->resident, "bytes in memory now");
    print_number("attached", region->attached, "times, this one too");
    if (region->mode != UINT32_MAX)
        printf("  %-10s0%o\n", "mode", region->mode);
    if (region->uid != UINT32_MAX)
        printf("  %-10suid %u\n", "owner", region->uid);
    if (region->attached != TONG_UNKNOWN)
        print_process("last", &region->last, "not known");
    print_process("lock", &region->holder, "free, as far as can be seen from here");
    return CODE_DONE;
}

static void write_number(struct json *json, const char *name, uint64_t number, uint64_t unknown)
{
    json_name(json, name);
    if (number == unknown)
        json_null(json);
    else
        json_unsigned(json, number);
}

static void write_mode(struct json *json, uint32_t mode)
{
    char octal[16];
    snprintf(octal, sizeof octal, "0%o", mode);
    json_name(json, "mode");
    json_string(json, mode == UINT32_MAX ? NULL : octal);
}

static int print_json(const char *address, const tong_region_info *region)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    json_open(&json, '{');
    json_name(&json, "address");
    json_string(&json, address);
    json_name(&json, "scheme");
    json_string(&json, region->scheme);
    json_name(&json, "object");
    json_string(&json, region->object);
    json_name(&json, "bytes");
    json_unsigned(&json, region->bytes);
    json_name(&json, "page");
    json_unsigned(&json, region->page);
    write_number(&json, "resident", region->resident, TONG_UNKNOWN);
    write_number(&json, "attached", region->attached, TONG_UNKNOWN);
    write_mode(&json, region->mode);
    write_number(&json, "uid", region->uid, UINT32_MAX);
    json_name(&json, "last");
    json_identity(&json, &region->last);
    json_name(&json, "holder");
    json_identity(&json, &region->holder);
    json_close(&json, '}');
    text_add(&text, "\n", 1);
    int r = write_all(STDOUT_FILENO, text.data, text.used);
    text_free(&text);
    return r < 0 ? fail_system(r, "standard output") : CODE_DONE;
}

int region_describe(const char *address, const tong_region_info *region, bool as_json)
{
    return as_json ? print_json(address, region) : print_words(region);
}
