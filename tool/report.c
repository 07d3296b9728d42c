/* SPDX-License-Identifier: MIT */
/* Lines on standard error and exit codes.  A line leaves in one write(2), so that lines of several processes do
 * not mix, and escaped, because details quote names that anybody may have chosen. */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "tong/base.h"

static const char *verb = "";

/* The one table from errno to exit code; what is not in it is CODE_FAILED. */
static const struct { int error, code; } codes[] = {
    { EINVAL, CODE_USAGE },
    { EPROTONOSUPPORT, CODE_USAGE },
    { EOPNOTSUPP, CODE_USAGE },
    { ENAMETOOLONG, CODE_USAGE },
    { ERANGE, CODE_USAGE },
    { ETIMEDOUT, CODE_TIMEOUT },
    { ECONNRESET, CODE_GONE },
    { EPIPE, CODE_GONE },
    { EIDRM, CODE_GONE },
    { ESTALE, CODE_GONE },
    { EACCES, CODE_DENIED },
    { EPERM, CODE_DENIED },
    { EROFS, CODE_DENIED },
    { ENOENT, CODE_MISSING },
    { EBADF, CODE_MISSING }, /* fd:N that nobody handed over */
    { ENOTDIR, CODE_MISSING },
    { ENXIO, CODE_MISSING },
    { EADDRNOTAVAIL, CODE_MISSING }, /* no such host, or not this machine */
    { EHOSTUNREACH, CODE_MISSING },
    { ENETUNREACH, CODE_MISSING },
    { ESRCH, CODE_MISSING },
    { ECONNREFUSED, CODE_MISSING },
    { ENOTCONN, CODE_MISSING },
    { EAGAIN, CODE_FULL },
    { EBUSY, CODE_FULL },
    { EOVERFLOW, CODE_FULL },
    { ENOSPC, CODE_FULL },
    { EDQUOT, CODE_FULL },
};

static const struct { int code; const char *words; } code_words[] = {
    { CODE_DONE, "done" },
    { CODE_FAILED, "failed" },
    { CODE_USAGE, "wrong usage: an option, an address, or something the mechanism cannot do" },
    { CODE_TIMEOUT, "timed out" },
    { CODE_GONE, "the peer is gone, or the object was removed" },
    { CODE_DENIED, "denied" },
    { CODE_MISSING, "not found, or nobody at the other end" },
    { CODE_FULL, "full, taken, or it would block" },
    { CODE_FINDINGS, "something is wrong: what, and why, was said" },
    { CODE_INCOMPLETE, "not everything could be seen" },
};

int exit_code(int error)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].error == -error)
            return codes[i].code;
    return CODE_FAILED;
}

const char *exit_code_words(int index, int *ret_code)
{
    if (index < 0 || (size_t)index >= sizeof code_words / sizeof *code_words)
        return NULL;
    *ret_code = code_words[index].code;
    return code_words[index].words;
}

void report_verb(const char *name)
{
    verb = name;
}

static void say_list(const char *format, va_list arguments, const char *after)
{
    char line[1024];
    struct text text = TEXT_INIT;
    vsnprintf(line, sizeof line, format, arguments);
    text_print(&text, "tong%s%s: ", *verb ? " " : "", verb);
    text_visible(&text, line, strlen(line), "");
    text_print(&text, "%s\n", after);
    ssize_t written = write(STDERR_FILENO, text.data, text.used);
    (void)written; /* nowhere is left to complain */
    text_free(&text);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments, "");
    va_end(arguments);
}

int fail_usage(const char *format, ...)
{
    char after[64];
    snprintf(after, sizeof after, " (see tong%s%s --help)", *verb ? " " : "", verb);
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments, after);
    va_end(arguments);
    return CODE_USAGE;
}

int fail_library(int error, const char *what)
{
    const char *detail = tong_detail();
    say("%s%s%s", what ? what : "", what ? ": " : "", *detail ? detail : strerror(-error));
    return exit_code(error);
}

int fail_system(int error, const char *what)
{
    say("%s: %s", what, strerror(-error));
    return exit_code(error);
}
