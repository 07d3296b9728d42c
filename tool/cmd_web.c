/* SPDX-License-Identifier: MIT */
/* tong web: the picture of the machine as a page that follows it. */
#include "command.h"
#include "report.h"
#include "sight/sight.h"
#include "web/web.h"

struct settings {
    int64_t port;
    const char *socket;
    bool plainly;
};

static const struct option_row options[] = {
    VALUE(port, TAKES_NUMBER, "N", "the port at 127.0.0.1 (0: one that is free)"),
    VALUE(socket, TAKES_TEXT, "PATH", "at a socket of this name, for its owner only, instead of a port"),
    SIGHT_PLAINLY,
    OPTIONS_LAST,
};

static int run(const struct command *self, int argc, char **argv)
{
    struct settings set = { .socket = NULL };
    int count, code = options_read(self, argc, argv, &set, &count);
    if (code != OPTIONS_GO)
        return code;
    if (set.port < 0 || set.port > 65535)
        return fail_usage("--port: from 0 to 65535");
    if (set.port && set.socket)
        return fail_usage("--port and --socket: one of them");
    return web_serve((uint16_t)set.port, set.socket, sight_tier(set.plainly));
}

const struct command cmd_web = {
    "web", "Inspect", "show who talks to whom, and who is stuck, as a page in a browser", "",
    "Prints a link and serves until it is interrupted.  The link holds a secret: without it nobody is told anything, and\n"
    "who has it sees all that the page shows, command lines too.  The machine is looked at once a second while a page\n"
    "is open, or less often where that would take 2 % of a processor; else not at all.  From another machine:\n"
    "ssh -L 8000:127.0.0.1:PORT, and the link with port 8000; for --socket the line to type is printed.",
    "timeout 1 tong web", options, 0, 0, 0, run, NULL,
};
