/* SPDX-License-Identifier: MIT */
/*
 * stream.h - who follows the picture.  One thread takes it and tells of it; the server's thread carries it to those who
 * follow, who sleep in between.
 */
#ifndef TOOL_WEB_STREAM_H
#define TOOL_WEB_STREAM_H

#include <stdbool.h>

#include "text.h"
#include "web/library.h"

/* The events of one more follower; `wake`, an eventfd, is written when it is there.  NULL: no memory. */
struct MHD_Response *stream_join(struct MHD_Connection *connection, int wake);

/* Whether anybody follows.  When nobody does, the picture is forgotten, so that nobody is shown an old one. */
bool stream_followed(void);

/* Takes over the event's text and carries it to all, when it differs from the last; else they get a sign of life, by
 * which it is seen who has gone. */
void stream_tell(struct text *text);

/* Wakes all of them to their end. */
void stream_end(void);

#endif
