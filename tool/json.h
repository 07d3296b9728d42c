/* SPDX-License-Identifier: MIT */
/* json.h - a writer of JSON (RFC 8259) on one line.  Names and nesting are the caller's business. */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "tong/base.h"

struct json {
    struct text *out;
    bool comma; /* the next value or name comes after another one */
};

/* '{', '[' and their ends. */
void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);

/* The name of the next value. */
void json_name(struct json *json, const char *name);

/* Name and value: a string (NULL: null), a number, and one that may not be known (null). */
void json_text(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, uint64_t value);
void json_known(struct json *json, const char *name, uint64_t value, bool known);

/* Values.  What is not UTF-8 in a string becomes U+FFFD; control characters, and those that reorder or hide what is
 * around them, are escaped. */
void json_bytes(struct json *json, const char *data, size_t size);
void json_string(struct json *json, const char *text); /* NULL: null */
void json_signed(struct json *json, int64_t value);
void json_unsigned(struct json *json, uint64_t value);
void json_real(struct json *json, double value);
void json_bool(struct json *json, bool value);
void json_null(struct json *json);
/* What `source` of an identity is called: "message". */
const char *identity_words(uint32_t source);
/* As doc/json.md says; null when nobody knows. */
void json_identity(struct json *json, const tong_identity *identity);
void json_base64(struct json *json, const void *data, size_t size);

/* The document as one line on standard output, behind what was printed there; frees its text.  0 or an exit code. */
int json_print(struct json *json);

#endif
