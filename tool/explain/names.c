/* SPDX-License-Identifier: MIT */
/* Which page somebody means.  Names are compared as people write them: "Named pipe", "named-pipe", "이름 있는 파이프". */
#include <stdio.h>
#include <string.h>

#include "explain/explain.h"
#include "text.h"

static bool has_scheme(const char *scheme, size_t size)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    for (size_t i = 0; tong_mechanism_describe(i, &mechanism) == 0; i++)
        if (strlen(mechanism.scheme) == size && !strncmp(mechanism.scheme, scheme, size))
            return true;
    return false;
}

size_t next_word(const char **list, const char **ret_word)
{
    const char *word = *list + strspn(*list, " ");
    size_t size = strcspn(word, " ");
    *ret_word = word;
    *list = word + size;
    return size;
}

void page_scheme(const struct page *page, char *ret, size_t room)
{
    const char *list = page->schemes, *word;
    *ret = '\0';
    for (size_t size; !*ret && (size = next_word(&list, &word));)
        if (has_scheme(word, size))
            snprintf(ret, room, "%.*s", (int)size, word);
}

bool page_offered(const struct page *page)
{
    char scheme[64];
    page_scheme(page, scheme, sizeof scheme);
    return *scheme || !*page->schemes;
}

/* Letters in lower case, without what stands between words. */
static void plain(const char *name, size_t size, struct text *ret)
{
    for (size_t i = 0; i < size; i++) {
        char letter = name[i];
        if (letter >= 'A' && letter <= 'Z')
            letter = (char)(letter - 'A' + 'a');
        if (!strchr(" \t-_", letter))
            text_add(ret, &letter, 1);
    }
    text_add(ret, "", 1);
}

static bool same_name(const char *one, size_t size, const char *other)
{
    struct text left = TEXT_INIT, right = TEXT_INIT;
    plain(one, size, &left);
    plain(other, strlen(other), &right);
    bool same = left.used > 1 && left.used == right.used && !memcmp(left.data, right.data, left.used);
    text_free(&left);
    text_free(&right);
    return same;
}

static bool in_list(const char *list, const char *name)
{
    const char *word;
    for (size_t size; (size = next_word(&list, &word));)
        if (same_name(word, size, name))
            return true;
    return false;
}

const struct page *page_find(const char *name)
{
    for (const struct page *page = explain_pages; page->name; page++)
        if (in_list(page->names, name) && page_offered(page))
            return page;
    return NULL;
}

const struct page *page_translated(const struct page *page, const char *language)
{
    for (const struct page *other = explain_pages; other->name; other++)
        if (!strcmp(other->name, page->name) && !strcmp(other->language, language))
            return other;
    return page;
}

const struct page *page_for_scheme(const char *scheme, const char *language)
{
    for (const struct page *page = explain_pages; page->name; page++)
        if (!strcmp(page->language, language) && in_list(page->schemes, scheme))
            return page;
    return NULL;
}
