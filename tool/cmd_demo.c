#include "command.h"
static const struct option_row options[] = { OPTIONS_LAST };
static int run(const struct command *self, int argc, char **argv) { (void)self; (void)argc; (void)argv; return 1; }
const struct command cmd_demo = { "demo", "Start here", "x", "", 0, "", options, 0, -1, true, run };
