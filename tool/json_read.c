/* SPDX-License-Identifier: MIT */
/* Values are found by skipping those before them; nothing is kept, and a malformed document has no values at all. */
#include "json_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 64

static const char *skip_value(const char *at, int depth);

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && !*++at)
            return NULL;
    return *at ? at + 1 : NULL;
}

/* Past the name and the colon of a member. */
static const char *skip_name(const char *at)
{
    if (*at != '"' || !(at = skip_string(at)))
        return NULL;
    at = skip_space(at);
    return *at == ':' ? skip_space(at + 1) : NULL;
}

static const char *skip_nested(const char *at, int depth)
{
    bool object = *at == '{';
    char end = object ? '}' : ']';
    at = skip_space(at + 1);
    if (*at == end)
        return at + 1;
    for (;;) {
        if ((object && !(at = skip_name(at))) || !(at = skip_value(at, depth + 1)))
            return NULL;
        at = skip_space(at);
        if (*at == end)
            return at + 1;
        if (*at++ != ',')
            return NULL;
        at = skip_space(at);
    }
}

static const char *skip_value(const char *at, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    if (depth > DEEPEST)
        return NULL;
    if (*at == '"')
        return skip_string(at);
    if (*at == '{' || *at == '[')
        return skip_nested(at, depth);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(at, words[i], strlen(words[i])))
            return at + strlen(words[i]);
    size_t size = strspn(at, "+-.0123456789eE");
    return size ? at + size : NULL;
}

json_value json_document(const char *text)
{
    const char *first = skip_space(text), *end = skip_value(first, 0);
    return (json_value){ end && !*skip_space(end) ? first : NULL };
}

json_value json_member(json_value object, const char *name)
{
    size_t size = strlen(name);
    if (!object.at || *object.at != '{')
        return (json_value){ NULL };
    for (const char *at = skip_space(object.at + 1); *at == '"';) {
        bool found = !strncmp(at + 1, name, size) && at[size + 1] == '"';
        at = skip_name(at);
        if (found)
            return (json_value){ at };
        at = skip_space(skip_value(at, 0));
        at = *at == ',' ? skip_space(at + 1) : at;
    }
    return (json_value){ NULL };
}

json_value json_element(json_value array, size_t index)
{
    if (!array.at || *array.at != '[')
        return (json_value){ NULL };
    for (const char *at = skip_space(array.at + 1); *at != ']';) {
        if (index-- == 0)
            return (json_value){ at };
        at = skip_space(skip_value(at, 0));
        at = *at == ',' ? skip_space(at + 1) : at;
    }
    return (json_value){ NULL };
}

bool json_get_real(json_value value, double *ret)
{
    if (!value.at || !(isdigit((unsigned char)*value.at) || *value.at == '-'))
        return false;
    *ret = strtod(value.at, NULL);
    return true;
}

bool json_get_string(json_value value, char *ret, size_t size)
{
    if (!value.at || *value.at != '"')
        return false;
    size_t length = strcspn(value.at + 1, "\"\\");
    if (value.at[1 + length] != '"' || length >= size)
        return false;
    memcpy(ret, value.at + 1, length);
    ret[length] = '\0';
    return true;
}
