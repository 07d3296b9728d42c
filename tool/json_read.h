/* SPDX-License-Identifier: MIT */
/* json_read.h - finds values in a JSON document (RFC 8259), such as the command has written itself. */
#ifndef TOOL_JSON_READ_H
#define TOOL_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

/* A value in a document; at NULL: there is none.  The document ends with a NUL. */
typedef struct { const char *at; } json_value;

/* The whole document; none unless it is one well-formed value. */
json_value json_document(const char *text);

json_value json_member(json_value object, const char *name);
json_value json_element(json_value array, size_t index);

/* False when the value is not a number; a string, without escapes, that fits. */
bool json_get_real(json_value value, double *ret);
bool json_get_string(json_value value, char *ret, size_t size);

#endif
