/* SPDX-License-Identifier: MIT */
/* `tong explain --json`; doc/json.md is its schema. */
#include <string.h>

#include "explain/explain.h"
#include "json.h"
#include "probe/probe.h"
#include "report.h"
#include "stop.h"

static void write_abilities(struct json *json, uint32_t offers)
{
    json_name(json, "abilities");
    json_open(json, '{');
    for (const struct ability *ability = abilities; ability->flag; ability++) {
        json_name(json, ability->key);
        json_bool(json, offers & ability->flag);
    }
    json_close(json, '}');
}

/* The key of the ability that takes an option. */
static const char *noun_key(uint32_t noun)
{
    for (const struct ability *ability = abilities; ability->flag; ability++)
        if (ability->flag == noun)
            return ability->key;
    return NULL;
}

static void write_options(struct json *json, const char *scheme)
{
    tong_option_info option = TONG_OPTION_INFO_INIT;
    json_name(json, "options");
    json_open(json, '[');
    for (size_t i = 0; tong_mechanism_option(scheme, i, &option) == 0; i++) {
        json_open(json, '{');
        json_text(json, "noun", noun_key(option.noun));
        json_text(json, "name", option.name);
        json_text(json, "values", option.values);
        json_text(json, "default", option.fallback);
        json_text(json, "help", option.help);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_limits(struct json *json, const char *scheme)
{
    tong_limit_info limit = TONG_LIMIT_INFO_INIT;
    json_name(json, "limits");
    json_open(json, '[');
    for (size_t i = 0; tong_mechanism_limit(scheme, i, &limit) == 0; i++) {
        json_open(json, '{');
        json_text(json, "name", limit.name);
        json_known(json, "value", limit.value, limit.value != TONG_UNKNOWN);
        json_text(json, "unit", limit.unit);
        json_text(json, "source", limit.source);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_mechanism(struct json *json, const tong_mechanism_info *mechanism)
{
    const struct { const char *name, *value; } words[] = {
        { "scheme", mechanism->scheme }, { "variant", mechanism->variant }, { "form", mechanism->form },
        { "summary", mechanism->summary }, { "direction", direction_words(mechanism) },
        { "medium", mechanism->medium }, { "unit", mechanism->unit }, { "reach", mechanism->reach },
        { "order", mechanism->order }, { "lifetime", mechanism->lifetime }, { "family", mechanism->family },
        { "identity", identity_words(mechanism->identity) },
    };
    json_open(json, '{');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        json_text(json, words[i].name, words[i].value);
    write_abilities(json, mechanism->offers);
    write_options(json, mechanism->scheme);
    write_limits(json, mechanism->scheme);
    json_close(json, '}');
}

static void write_figure(struct json *json, const struct figure *figure)
{
    json_name(json, figure->key);
    if (figure->text)
        json_string(json, figure->text);
    else if (figure->real)
        json_real(json, figure->value);
    else
        json_signed(json, (int64_t)figure->value);
}

static void write_probe(struct json *json, const struct probe *probe, const char *scheme)
{
    struct measured measured;
    probe_run(probe, scheme, &measured);
    json_open(json, '{');
    json_text(json, "probe", probe->name);
    json_text(json, "error", measured.error ? strerror(measured.error) : NULL);
    json_name(json, "shown");
    json_bool(json, measured.shown && !measured.error);
    json_name(json, "figures");
    json_open(json, '{');
    for (int i = 0; i < measured.count; i++)
        write_figure(json, &measured.figures[i]);
    json_close(json, '}');
    json_close(json, '}');
}

static void write_measured(struct json *json, const char *scheme)
{
    const struct page *page = page_for_scheme(scheme, "en");
    const char *list = page ? page->measured : "", *word;
    json_name(json, "measured");
    json_open(json, '[');
    for (size_t size; !stop_asked() && (size = next_word(&list, &word));) {
        const struct probe *probe = probe_find(word, size);
        if (probe)
            write_probe(json, probe, scheme);
    }
    json_close(json, ']');
}

int explain_json(const char *scheme)
{
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    json_open(&json, '{');
    json_name(&json, "mechanisms");
    json_open(&json, '[');
    for (size_t i = 0; tong_mechanism_describe(i, &mechanism) == 0; i++)
        if (!scheme || !strcmp(scheme, mechanism.scheme))
            write_mechanism(&json, &mechanism);
    json_close(&json, ']');
    if (scheme)
        write_measured(&json, scheme);
    json_close(&json, '}');
    return json_print(&json);
}
