/* SPDX-License-Identifier: MIT */
/* The JSON writer. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void separate(struct json *json)
{
    if (json->comma)
        text_add(json->out, ",", 1);
    json->comma = true;
}

void json_open(struct json *json, char bracket)
{
    separate(json);
    text_add(json->out, &bracket, 1);
    json->comma = false;
}

void json_close(struct json *json, char bracket)
{
    text_add(json->out, &bracket, 1);
    json->comma = true;
}

/* Nobody else chooses names, so there is nothing to be escaped in them. */
void json_name(struct json *json, const char *name)
{
    size_t size = strlen(name);
    text_reserve(json->out, size + 4);
    char *at = json->out->data + json->out->used;
    if (json->comma)
        *at++ = ',';
    *at++ = '"';
    memcpy(at, name, size);
    memcpy(at + size, "\":", 3);
    json->out->used = (size_t)(at + size + 2 - json->out->data);
    json->comma = false;
}

static void add_character(struct text *out, const char *data, size_t length, unsigned code)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *pair = short_forms; *pair; pair += 2)
        if ((unsigned char)*pair == code) {
            text_print(out, "\\%c", pair[1]);
            return;
        }
    if (utf8_harmful(code) && code > 0xffff)
        text_print(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
    else if (utf8_harmful(code))
        text_print(out, "\\u%04x", code);
    else
        text_add(out, data, length);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Whether one of eight bytes is zero, by the carry out of it: Hacker's Delight, 6-1; what is behind it may be told wrongly. */
static uint64_t has_zero(uint64_t bytes)
{
    return (bytes - EACH(1)) & ~bytes & EACH(0x80);
}

/* Whether eight bytes all stand for themselves: from ' ' to '~', and neither '"' nor '\\'. */
static bool are_plain(const char *data)
{
    uint64_t bytes;
    memcpy(&bytes, data, sizeof bytes);
    uint64_t outside = (bytes - EACH(' ')) | (bytes + EACH(0x7f - '~')) | bytes;
    return !((outside & EACH(0x80)) | has_zero(bytes ^ EACH('"')) | has_zero(bytes ^ EACH('\\')));
}

/* How many bytes stand for themselves: nearly all do, and together they are copied much faster. */
static size_t plain(const char *data, size_t size)
{
    size_t count = 0;
    while (size - count >= 8 && are_plain(data + count))
        count += 8;
    while (count < size && data[count] >= ' ' && data[count] <= '~' && data[count] != '"' && data[count] != '\\')
        count++;
    return count;
}

/* What stands for itself, between quotation marks: a large document is little else, so it is one step. */
static bool add_plain(struct text *out, const char *data, size_t size)
{
    if (plain(data, size) < size)
        return false;
    text_reserve(out, size + 2);
    char *at = out->data + out->used;
    *at++ = '"';
    memcpy(at, data, size);
    at[size] = '"';
    at[size + 1] = '\0';
    out->used += size + 2;
    return true;
}

static void add_escaped(struct json *json, const char *data, size_t size)
{
    text_add(json->out, "\"", 1);
    while (size) {
        unsigned code;
        size_t same = plain(data, size);
        text_add(json->out, data, same);
        data += same;
        size -= same;
        if (size == 0)
            break;
        size_t length = utf8_character((const unsigned char *)data, size, &code);
        if (length)
            add_character(json->out, data, length, code);
        else
            text_print(json->out, "\\ufffd");
        data += length ? length : 1;
        size -= length ? length : 1;
    }
    text_add(json->out, "\"", 1);
}

void json_bytes(struct json *json, const char *data, size_t size)
{
    separate(json);
    if (!add_plain(json->out, data, size))
        add_escaped(json, data, size);
}

void json_string(struct json *json, const char *text)
{
    if (text)
        json_bytes(json, text, strlen(text));
    else
        json_null(json);
}

void json_signed(struct json *json, int64_t value)
{
    separate(json);
    text_print(json->out, "%" PRId64, value);
}

void json_unsigned(struct json *json, uint64_t value)
{
    char digits[20], *at = digits + sizeof digits;
    separate(json);
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    text_add(json->out, at, (size_t)(digits + sizeof digits - at));
}

void json_real(struct json *json, double value)
{
    separate(json);
    if (isfinite(value))
        text_print(json->out, "%.9g", value);
    else
        text_print(json->out, "null");
}

void json_bool(struct json *json, bool value)
{
    separate(json);
    text_add(json->out, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json *json)
{
    separate(json);
    text_add(json->out, "null", 4);
}

void json_text(struct json *json, const char *name, const char *text)
{
    json_name(json, name);
    json_string(json, text);
}

void json_number(struct json *json, const char *name, uint64_t value)
{
    json_name(json, name);
    json_unsigned(json, value);
}

void json_known(struct json *json, const char *name, uint64_t value, bool known)
{
    json_name(json, name);
    if (known)
        json_unsigned(json, value);
    else
        json_null(json);
}

const char *identity_words(uint32_t identity)
{
    static const char *const words[] = { "none", "message", "connection", "last", "claimed" };
    return identity < sizeof words / sizeof *words ? words[identity] : "unknown";
}

void json_identity(struct json *json, const tong_identity *identity)
{
    if (identity->source == TONG_IDENTITY_NONE) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    json_text(json, "source", identity_words(identity->source));
    json_known(json, "pid", (uint64_t)identity->pid, identity->pid > 0);
    json_known(json, "start_time", identity->start_time, identity->start_time != 0);
    json_known(json, "uid", identity->uid, identity->uid != UINT32_MAX);
    json_known(json, "gid", identity->gid, identity->gid != UINT32_MAX);
    json_close(json, '}');
}

/* RFC 4648, with padding. */
void json_base64(struct json *json, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = data;
    separate(json);
    text_add(json->out, "\"", 1);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned group = (unsigned)from[i] << 16 | (left > 1 ? from[i + 1] : 0) << 8 | (left > 2 ? from[i + 2] : 0);
        char out[4] = { digits[group >> 18], digits[group >> 12 & 63], left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '=' };
        text_add(json->out, out, 4);
    }
    text_add(json->out, "\"", 1);
}

int json_print(struct json *json)
{
    fflush(stdout);
    text_add(json->out, "\n", 1);
    int code = write_output(json->out->data, json->out->used);
    text_free(json->out);
    return code;
}
