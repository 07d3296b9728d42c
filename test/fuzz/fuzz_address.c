/* SPDX-License-Identifier: MIT */
/* Addresses come from command lines and configuration: any bytes at all give an address or one line of words. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "handle.h"

static const uint32_t nouns[] = { TONG_HAS_CHANNEL, TONG_HAS_REGION, TONG_HAS_SEMAPHORE, TONG_HAS_LOCK };

static void promise_words(int r)
{
    PROMISE(r > -4096);
    PROMISE(*tong_detail());
    PROMISE(strlen(tong_detail()) < 640);
}

/* Options of a noun of a mechanism, whatever the scheme says: each parses the text anew. */
static void settle(const char *text, const struct option_use *uses)
{
    struct address address;
    if (!uses || address_parse(text, &address) < 0)
        return;
    int r = address_settle(&address, uses);
    if (r < 0)
        promise_words(r);
    for (const struct option_use *use = uses; r == 0 && use->id != OPTION_COUNT; use++)
        if (use->low < use->high)
            PROMISE(address.value[use->id] == use->fallback ||
                    (address.value[use->id] >= use->low && address.value[use->id] <= use->high));
    address_free(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    struct address address;
    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    int r = address_parse(text, &address);
    if (r < 0) {
        promise_words(r);
    } else {
        PROMISE(*address.scheme && strlen(address.scheme) <= ADDRESS_SCHEME_MAX);
        PROMISE(address.name && strlen(address.name) <= ADDRESS_NAME_MAX);
        address_free(&address);
        for (const struct mechanism *const *mechanism = mechanism_table; *mechanism; mechanism++)
            for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
                settle(text, noun_options(*mechanism, nouns[i]));
    }
    free(text);
    return 0;
}
