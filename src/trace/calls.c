/* SPDX-License-Identifier: MIT */
#include "trace/calls.h"

#include <sys/syscall.h>

#define ROW(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }

/* From a descriptor, in the first argument, by so much as the call returns. */
#define MOVES(name, way, what, peeks) \
    ROW(name, TRACE_DESCRIPTOR, way, 0, TRACE_NONE, TRACE_BY_RESULT, what, peeks, 0)

const struct call_row call_rows[] = {
    MOVES(read, TRACE_RECEIVE, TRACE_BYTES, TRACE_NONE),
    MOVES(pread64, TRACE_RECEIVE, TRACE_BYTES, TRACE_NONE),
    MOVES(readv, TRACE_RECEIVE, TRACE_SPANS, TRACE_NONE),
    MOVES(preadv, TRACE_RECEIVE, TRACE_SPANS, TRACE_NONE),
    MOVES(preadv2, TRACE_RECEIVE, TRACE_SPANS, TRACE_NONE),
    MOVES(write, TRACE_SEND, TRACE_BYTES, TRACE_NONE),
    MOVES(pwrite64, TRACE_SEND, TRACE_BYTES, TRACE_NONE),
    MOVES(writev, TRACE_SEND, TRACE_SPANS, TRACE_NONE),
    MOVES(pwritev, TRACE_SEND, TRACE_SPANS, TRACE_NONE),
    MOVES(pwritev2, TRACE_SEND, TRACE_SPANS, TRACE_NONE),
    MOVES(recvfrom, TRACE_RECEIVE, TRACE_BYTES, 3),
    MOVES(recvmsg, TRACE_RECEIVE, TRACE_HEADER, 2),
    MOVES(sendto, TRACE_SEND, TRACE_BYTES, TRACE_NONE),
    MOVES(sendmsg, TRACE_SEND, TRACE_HEADER, TRACE_NONE),
    ROW(recvmmsg, TRACE_DESCRIPTOR, TRACE_RECEIVE, 0, TRACE_NONE, TRACE_BY_MANY, TRACE_HEADERS, 3, 0),
    ROW(sendmmsg, TRACE_DESCRIPTOR, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_MANY, TRACE_HEADERS, TRACE_NONE, 0),
    /* Each of these takes from one descriptor and gives to another; a tee leaves what it took. */
    ROW(splice, TRACE_DESCRIPTOR, TRACE_SEND, 2, 0, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
    ROW(sendfile, TRACE_DESCRIPTOR, TRACE_SEND, 0, 1, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
    ROW(copy_file_range, TRACE_DESCRIPTOR, TRACE_SEND, 2, 0, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
    ROW(tee, TRACE_DESCRIPTOR, TRACE_SEND, 1, TRACE_NONE, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
    MOVES(vmsplice, TRACE_BY_MODE, TRACE_SPANS, TRACE_NONE),
    ROW(mq_timedsend, TRACE_DESCRIPTOR, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_SIZE, TRACE_BYTES, TRACE_NONE, 1),
    ROW(mq_timedreceive, TRACE_DESCRIPTOR, TRACE_RECEIVE, 0, TRACE_NONE, TRACE_BY_RESULT, TRACE_BYTES, TRACE_NONE, 1),
    ROW(msgsnd, TRACE_QUEUE, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_SIZE, TRACE_TYPED, TRACE_NONE, 0),
    ROW(msgrcv, TRACE_QUEUE, TRACE_RECEIVE, 0, TRACE_NONE, TRACE_BY_RESULT, TRACE_TYPED, TRACE_NONE, 0),
#ifdef SYS_semop
    ROW(semop, TRACE_SET, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
#endif
    ROW(semtimedop, TRACE_SET, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
    ROW(futex, TRACE_WORD, TRACE_SEND, 0, TRACE_NONE, TRACE_BY_RESULT, TRACE_NOTHING, TRACE_NONE, 0),
};

const size_t call_count = sizeof call_rows / sizeof *call_rows;

const char *call_name(unsigned number)
{
    for (size_t i = 0; i < call_count; i++)
        if (call_rows[i].number == number)
            return call_rows[i].name;
    return "";
}
