/* SPDX-License-Identifier: MIT */
/* The last failure of each thread.  Hot paths only store a pointer. */
#include "base/detail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tong/base.h"

static _Thread_local const char *current = "";
static _Thread_local char buffer[DETAIL_SIZE];

int fail(int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    current = buffer;
    return error;
}

int fail_static(int error, const char *text)
{
    current = text;
    return error;
}

int fail_call(int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof buffer)
        snprintf(buffer + used, sizeof buffer - (size_t)used, ": %s", strerrordesc_np(-error));
    current = buffer;
    return error;
}

const char *tong_detail(void)
{
    return current;
}
