/* SPDX-License-Identifier: MIT */
#include "bpf/map.h"

#include <stdint.h>

#include "bpf/attributes.h"
#include "sys/sys.h"

static int map_call(int command, int map, const void *key, const void *value)
{
    union bpf_attr attributes = no_attributes();
    attributes.map_fd = (uint32_t)map;
    attributes.key = (uintptr_t)key;
    attributes.value = (uintptr_t)value;
    return sys_bpf(command, &attributes);
}

int map_get(int map, const void *key, void *ret_value)
{
    return map_call(BPF_MAP_LOOKUP_ELEM, map, key, ret_value);
}

int map_put(int map, const void *key, const void *value)
{
    return map_call(BPF_MAP_UPDATE_ELEM, map, key, value);
}

int map_remove(int map, const void *key)
{
    return map_call(BPF_MAP_DELETE_ELEM, map, key, NULL);
}

int map_next(int map, const void *key, void *ret_next)
{
    return map_call(BPF_MAP_GET_NEXT_KEY, map, key, ret_next);
}
