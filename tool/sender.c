/* SPDX-License-Identifier: MIT */
/* Who sent, in JSON: what nobody knows is null, never a guess. */
#include "sender.h"

void json_known(struct json *json, const char *name, uint64_t value, bool known)
{
    json_name(json, name);
    if (known)
        json_unsigned(json, value);
    else
        json_null(json);
}

void json_sender(struct json *json, const tong_identity *sender)
{
    static const char *const sources[] = { "none", "message", "connection", "last", "claimed" };
    json_name(json, "sender");
    if (sender->source == TONG_IDENTITY_NONE || sender->source >= sizeof sources / sizeof *sources) {
        json_null(json);
        return;
    }
    json_open(json, '{');
    json_name(json, "source");
    json_string(json, sources[sender->source]);
    json_known(json, "pid", (uint64_t)sender->pid, sender->pid > 0);
    json_known(json, "start_time", sender->start_time, sender->start_time != 0);
    json_known(json, "uid", sender->uid, sender->uid != UINT32_MAX);
    json_known(json, "gid", sender->gid, sender->gid != UINT32_MAX);
    json_close(json, '}');
}
