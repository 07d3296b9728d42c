#include "command.h"
const struct command cmd_demo_carry = { "demo-carry", 0, "x", "", 0, "", 0, 0, -1, true, 0 };
