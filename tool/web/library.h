/* SPDX-License-Identifier: MIT */
/* library.h - libmicrohttpd, loaded when it is needed. */
#ifndef TOOL_WEB_LIBRARY_H
#define TOOL_WEB_LIBRARY_H

#include <microhttpd.h>

#define MHD_CALLS(CALL) \
    CALL(start_daemon) CALL(stop_daemon) CALL(suspend_connection) CALL(resume_connection) \
    CALL(lookup_connection_value) CALL(create_response_from_buffer) CALL(create_response_from_callback) \
    CALL(add_response_header) \
    CALL(queue_response) CALL(destroy_response)

#define MHD_MEMBER(name) __typeof__(&MHD_##name) name;
extern struct mhd { MHD_CALLS(MHD_MEMBER) } mhd;

/* 0, or an exit code, after saying which package is missing. */
int mhd_load(void);

#endif
