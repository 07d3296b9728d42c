/* SPDX-License-Identifier: MIT */
/*
 * explain.h - what the parts of `tong explain` share.  What a mechanism is and can comes from the library
 * (tong/mechanism.h), what this machine does from the probes (probe.h), and what has to be told from the pages.
 */
#ifndef TOOL_EXPLAIN_H
#define TOOL_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "tong/mechanism.h"

/* ---- The pages: doc/explain, compiled in ----------------------------------------------------------------- */

/* One page in one language; lists are words with blanks between them. */
enum { PAGE_DEFINITION, PAGE_STRUCTURE, PAGE_WHEN, PAGE_CAUTIONS, PAGE_EXAMPLE, PAGE_SECTIONS };
struct page {
    const char *name, *language, *title;
    const char *schemes;  /* of the mechanisms it is about; "": of none */
    const char *related;  /* pages of what is easily mistaken for it */
    const char *measured; /* names of probes */
    const char *names;    /* what people call it in this language */
    struct { const char *heading, *body; } sections[PAGE_SECTIONS]; /* as lines_of() of pages.py has them */
};
extern const struct page explain_pages[]; /* generated; ends with name NULL */

/* The page that somebody means by `name`, in the language of that name; NULL if nothing is called so, or if all
 * that is called so is about mechanisms that the library does not have. */
const struct page *page_find(const char *name);

/* The same page in another language; the page for a scheme. */
const struct page *page_translated(const struct page *page, const char *language);
const struct page *page_for_scheme(const char *scheme, const char *language);

/* The first of the page's schemes that the library has: "" when the page is about none. */
void page_scheme(const struct page *page, char *ret, size_t size);

/* Whether the library has what the page is about. */
bool page_offered(const struct page *page);

/* The next word of a list: its size, and *list behind it; 0 at the end. */
size_t next_word(const char **list, const char **ret_word);

/* ---- Words in two languages ------------------------------------------------------------------------------ */

/* "en" or "ko" for all that follows. */
void speak(const char *language);
const char *spoken(void);

/* The words in the language spoken, or as they are where there is no translation. */
const char *local(const char *english);

/* As local(), for words of which at least the beginning is known ("message", of "message (frame=packet)"). */
void local_facet(const char *english, char *ret, size_t size);

struct model;

/* What the offers come to: in a word, and for one noun. */
const char *direction_words(const tong_mechanism_info *mechanism);
const char *direction_of(const struct model *model, const tong_mechanism_info *mechanism);
const char *identity_meaning(uint32_t identity);

/* An ability: the flag, its key in JSON, and what it means when it is there. */
struct ability {
    uint32_t flag;
    const char *key, *words;
};
extern const struct ability abilities[]; /* ends with flag 0 */

/* What a noun makes of the classification: the model, the direction (NULL: direction_of()), how somebody waits. */
struct model {
    uint32_t flag;
    const char *model, *direction, *waiting;
};
extern const struct model models[]; /* ends with flag 0 */

/* ---- Printing -------------------------------------------------------------------------------------------- */

/* "  label      words", broken at blanks so that lines stay within 100 columns, or the terminal's; `left` columns for the
 * label. */
void print_field(const char *label, int left, const char *words);

/* Words and the blanks that fill `width` columns; what is wider is not cut. */
void print_padded(const char *words, size_t width);

/* The table of all mechanisms; one mechanism with its page (NULL: none), or a page about none (scheme NULL). */
void explain_table(void);
void explain_page(const struct page *page, const char *scheme);

/* Prints mechanisms as one JSON document; scheme NULL: all, and nothing is measured.  An exit code. */
int explain_json(const char *scheme);

#endif
