/* SPDX-License-Identifier: MIT */
/* What `tong region info` prints. */
#include "region_describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "json.h"
#include "report.h"
#include "text.h"

static void print_process(const char *label, const tong_identity *process, const char *nobody)
{
    if (process->source == TONG_IDENTITY_NONE)
        printf("  %-10s%s\n", label, nobody);
    else
        printf("  %-10sprocess %" PRId64 "%s\n", label, process->pid,
               tong_identity_alive(process) == 0 ? ", which is gone" : "");
}

static void print_number(const char *label, uint64_t number, const char *unit, const char *words)
{
    if (number != TONG_UNKNOWN)
        printf("  %-10s%" PRIu64 " %s%s%s\n", label, number, unit, plural(number, "", "s"), words);
}

static int print_words(const tong_region_info *region)
{
    print_visible("", region->object);
    putchar('\n');
    print_number("size", region->bytes, "byte", "");
    printf("  %-10s%" PRIu64 " of %" PRIu64 " bytes\n", "pages",
           (region->bytes + region->page - 1) / region->page, region->page);
    print_number("resident", region->resident, "byte", " in memory now");
    print_number("attached", region->attached, "time", ", this one too");
    if (region->mode != UINT32_MAX)
        printf("  %-10s0%o\n", "mode", region->mode);
    if (region->uid != UINT32_MAX)
        printf("  %-10suid %u\n", "owner", region->uid);
    if (region->attached != TONG_UNKNOWN)
        print_process("last", &region->last, "not known");
    print_process("lock", &region->holder, "free, as far as can be seen from here");
    return CODE_DONE;
}

static void write_mode(struct json *json, uint32_t mode)
{
    char octal[16];
    snprintf(octal, sizeof octal, "0%o", mode);
    json_text(json, "mode", mode == UINT32_MAX ? NULL : octal);
}

static int print_json(const char *address, const tong_region_info *region)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    json_open(&json, '{');
    json_text(&json, "address", address);
    json_text(&json, "scheme", region->scheme);
    json_text(&json, "object", region->object);
    json_number(&json, "bytes", region->bytes);
    json_number(&json, "page", region->page);
    json_known(&json, "resident", region->resident, region->resident != TONG_UNKNOWN);
    json_known(&json, "attached", region->attached, region->attached != TONG_UNKNOWN);
    write_mode(&json, region->mode);
    json_known(&json, "uid", region->uid, region->uid != UINT32_MAX);
    json_name(&json, "last");
    json_identity(&json, &region->last);
    json_name(&json, "holder");
    json_identity(&json, &region->holder);
    json_close(&json, '}');
    return json_print(&json);
}

int region_describe(const char *address, const tong_region_info *region, bool as_json)
{
    return as_json ? print_json(address, region) : print_words(region);
}
