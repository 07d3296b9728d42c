/* SPDX-License-Identifier: MIT */
/* The rows: a new mechanism adds its own here.  A mechanism or variant without one fails the suite. */
#include "contract.h"

#define CHANNEL TONG_HAS_CHANNEL
#define STREAM (CHANNEL | TONG_HAS_READINESS | TONG_HAS_FINISH)
#define SOCKET (STREAM | TONG_HAS_LISTENER | TONG_HAS_PAIR | TONG_HAS_PEER | TONG_HAS_DESCRIPTOR | TONG_HAS_TWO_WAY)
#define INTERNET (STREAM | TONG_HAS_LISTENER | TONG_HAS_DESCRIPTOR | TONG_HAS_TWO_WAY)
#define NUMBERED (CHANNEL | TONG_HAS_READINESS | TONG_HAS_TWO_WAY | TONG_HAS_MANY_SENDERS | TONG_MAY_LOSE)
#define DATAGRAM (CHANNEL | TONG_HAS_READINESS | TONG_HAS_PAIR | TONG_HAS_DESCRIPTOR | TONG_HAS_MANY_SENDERS)
#define QUEUE (CHANNEL | TONG_HAS_SELECT | TONG_HAS_REMOVE | TONG_HAS_TWO_WAY | TONG_HAS_MANY_SENDERS | \
               TONG_HAS_MANY_RECEIVERS | TONG_HAS_PEER)
#define PRIORITY_QUEUE (CHANNEL | TONG_HAS_READINESS | TONG_HAS_REMOVE | TONG_HAS_TWO_WAY_PAIR | TONG_HAS_MANY_SENDERS | \
                        TONG_HAS_MANY_RECEIVERS | TONG_HAS_AFTER_FORK)
#define MEMORY (STREAM | TONG_HAS_REMOVE | TONG_HAS_ZERO_COPY | TONG_HAS_PEER | TONG_HAS_MANY_SENDERS)
#define BROADCAST (MEMORY | TONG_HAS_MANY_RECEIVERS)
#define PRIVATE_MEMORY (STREAM | TONG_HAS_REMOVE | TONG_HAS_ZERO_COPY | TONG_HAS_PEER | TONG_HAS_TWO_WAY)
#define SHARED_FILE (STREAM | TONG_HAS_REMOVE | TONG_HAS_MANY_SENDERS | TONG_HAS_MANY_RECEIVERS)
#define NAMED_PIPE (STREAM | TONG_HAS_REMOVE | TONG_HAS_MANY_SENDERS | TONG_HAS_TWO_WAY_PAIR)
#define UNNAMED_PIPE (STREAM | TONG_HAS_PAIR | TONG_HAS_DESCRIPTOR | TONG_HAS_TWO_WAY_PAIR)
#define NUMBERS (CHANNEL | TONG_HAS_READINESS | TONG_HAS_PEER | TONG_HAS_MANY_SENDERS | TONG_HAS_TWO_WAY_PAIR)

#define WHOLE (HAS_BOUNDARIES | HAS_ANY_BYTES | HAS_EMPTY)
#define FRAMED (WHOLE | HAS_READY | HAS_TYPE | HAS_DEATH | HAS_END | HAS_BROKEN | HAS_ROOM | HAS_LONG)
#define RING (FRAMED | HAS_GLANCES)
#define LOGGED (RING & ~HAS_BROKEN)
#define PACKETS (WHOLE | HAS_READY | HAS_TYPE | HAS_DEATH | HAS_END)
#define LINES (HAS_READY | HAS_BOUNDARIES | HAS_EMPTY | HAS_END | HAS_BROKEN | HAS_LONG)
#define BYTES (HAS_READY | HAS_ANY_BYTES | HAS_END | HAS_BROKEN | HAS_LONG)
#define NAMED (HAS_NAME | HAS_NO_FORKING | HAS_OTHER)
#define REMOTE (HAS_NAME | HAS_NO_FORKING | HAS_PORT)
#define INHERITED (HAS_FORKING | HAS_HEIRS)

const struct row rows[] = {
    { "pipe", "pipe", "", MAKE_PAIR, "pipe:", "pipe:", UNNAMED_PIPE, FRAMED | HAS_FULL | INHERITED },
    { "pipe-both", "pipe", "", MAKE_PAIR, "pipe:", "pipe:", UNNAMED_PIPE, FRAMED | HAS_FULL | INHERITED | HAS_BOTH },
    { "pipe-line", "pipe", "", MAKE_PAIR, "pipe:?frame=line", "pipe:?frame=line", UNNAMED_PIPE,
      LINES | HAS_FULL | INHERITED | HAS_TEARING },
    { "pipe-none", "pipe", "", MAKE_PAIR, "pipe:?frame=none", "pipe:?frame=none", UNNAMED_PIPE,
      BYTES | HAS_FULL | INHERITED },
    { "fd-pipe", "fd", "", MAKE_PIPE, "fd:%F", "fd:%F", STREAM, FRAMED | HAS_FULL },
    { "fd-socketpair", "fd", "", MAKE_SOCKETPAIR, "fd:%F", "fd:%F", STREAM, FRAMED | HAS_FULL | HAS_BOTH },
    { "fd-packets", "fd", "", MAKE_SEQPACKETS, "fd:%F", "fd:%F",
      STREAM, PACKETS | HAS_BROKEN | HAS_FULL | HAS_BOTH | HAS_LONG },
    { "fifo", "fifo", "", MAKE_OPEN, "fifo:%P", "fifo:%P", NAMED_PIPE,
      FRAMED | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE },
    { "fifo-line", "fifo", "", MAKE_OPEN, "fifo:%P?frame=line", "fifo:%P?frame=line", NAMED_PIPE,
      LINES | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE },
    { "fifo-none", "fifo", "", MAKE_OPEN, "fifo:%P?frame=none", "fifo:%P?frame=none", NAMED_PIPE,
      BYTES | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE },
    { "unix-stream", "unix", "socket=stream", MAKE_LISTEN, "unix:%P", "unix:%P", SOCKET,
      FRAMED | HAS_FULL | HAS_BOTH | NAMED | HAS_PATH },
    { "unix-line", "unix", "socket=stream", MAKE_LISTEN, "unix:%P?frame=line", "unix:%P?frame=line", SOCKET,
      LINES | HAS_FULL | HAS_BOTH | NAMED | HAS_PATH },
    { "unix-none", "unix", "socket=stream", MAKE_LISTEN, "unix:%P?frame=none", "unix:%P?frame=none", SOCKET,
      BYTES | HAS_FULL | HAS_BOTH | NAMED | HAS_PATH },
    { "unix-seqpacket", "unix", "socket=seqpacket", MAKE_LISTEN, "unix:%P?socket=seqpacket", "unix:%P?socket=seqpacket",
      SOCKET, PACKETS | HAS_BROKEN | HAS_FULL | HAS_BOTH | NAMED | HAS_PATH | HAS_LONG | HAS_SENDER },
    { "unix-datagram", "unix", "socket=datagram", MAKE_OPEN, "unix:%P?socket=datagram", "unix:%P?socket=datagram", DATAGRAM,
      WHOLE | HAS_READY | HAS_FULL | NAMED | HAS_PATH | HAS_BROKEN | HAS_LONG | HAS_SENDER },
    { "unix-abstract", "unix", "socket=stream", MAKE_LISTEN, "unix:@%N", "unix:@%N", SOCKET,
      FRAMED | HAS_FULL | HAS_BOTH | NAMED },
    { "unix-pair", "unix", "socket=stream", MAKE_PAIR, "unix:", "unix:", SOCKET, FRAMED | HAS_FULL | HAS_BOTH | INHERITED },
    { "unix-pair-seqpacket", "unix", "socket=seqpacket", MAKE_PAIR, "unix:?socket=seqpacket", "unix:?socket=seqpacket", SOCKET,
      PACKETS | HAS_BROKEN | HAS_FULL | HAS_BOTH | INHERITED | HAS_LONG },
    { "unix-pair-datagram", "unix", "socket=datagram", MAKE_PAIR, "unix:?socket=datagram", "unix:?socket=datagram", DATAGRAM,
      WHOLE | HAS_READY | HAS_BROKEN | HAS_FULL | HAS_BOTH | INHERITED | HAS_LONG },
    { "msgq", "msgq", "", MAKE_OPEN, "msgq:%K", "msgq:%K", QUEUE, WHOLE | HAS_TYPE | HAS_FULL | NAMED | HAS_CREATE | HAS_LONG },
    { "msgq-poll", "msgq", "", MAKE_OPEN, "msgq:%K?poll=1ms", "msgq:%K?poll=1ms", QUEUE,
      WHOLE | HAS_READY | HAS_SPURIOUS | HAS_TYPE | HAS_FULL | NAMED | HAS_CREATE | HAS_LONG },
    { "msgq-both", "msgq", "", MAKE_OPEN, "msgq:%K?type=1&select=2", "msgq:%K?type=2&select=1", QUEUE,
      WHOLE | HAS_FULL | NAMED | HAS_BOTH | HAS_LONG },
    { "mq", "mq", "", MAKE_OPEN, "mq:/%N?messages=8&size=4200", "mq:/%N?messages=8&size=4200", PRIORITY_QUEUE,
      WHOLE | HAS_READY | HAS_PRIORITY | HAS_FULL | NAMED | HAS_CREATE | HAS_LONG },
    { "shm", "shm", "", MAKE_OPEN, "shm:%N", "shm:%N", MEMORY, RING | HAS_FULL | NAMED | HAS_CREATE | HAS_MAILBOX },
    { "shm-broadcast", "shm", "deliver=broadcast", MAKE_OPEN, "shm:%N?deliver=broadcast", "shm:%N?deliver=broadcast",
      BROADCAST, LOGGED | HAS_FULL | NAMED | HAS_CREATE },
    { "shm-queue", "shm", "receivers=16", MAKE_OPEN, "shm:%N?receivers=16", "shm:%N?receivers=16",
      MEMORY | TONG_HAS_MANY_RECEIVERS, RING | HAS_FULL | NAMED | HAS_CREATE | HAS_MAILBOX },
    { "mmap", "mmap", "", MAKE_OPEN, "mmap:%P", "mmap:%P", MEMORY,
      RING | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE | HAS_MAILBOX },
    { "memfd", "memfd", "", MAKE_OPEN, "memfd:%P", "memfd:%P", PRIVATE_MEMORY, RING | HAS_FULL | HAS_BOTH | NAMED },
    { "memfd-abstract", "memfd", "", MAKE_OPEN, "memfd:@%N", "memfd:@%N", PRIVATE_MEMORY & ~TONG_HAS_REMOVE,
      RING | HAS_FULL | HAS_BOTH | NAMED },
    { "mmap-durable", "mmap", "durable=yes", MAKE_OPEN, "mmap:%P?durable=yes", "mmap:%P?durable=yes", MEMORY | TONG_HAS_SYNC,
      RING | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE | HAS_MAILBOX },
    { "mmap-queue", "mmap", "receivers=16", MAKE_OPEN, "mmap:%P?receivers=16", "mmap:%P?receivers=16",
      MEMORY | TONG_HAS_MANY_RECEIVERS, RING | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE | HAS_MAILBOX },
    { "mmap-broadcast", "mmap", "deliver=broadcast", MAKE_OPEN, "mmap:%P?deliver=broadcast", "mmap:%P?deliver=broadcast",
      BROADCAST, LOGGED | HAS_FULL | NAMED | HAS_PATH | HAS_CREATE },
    { "file", "file", "", MAKE_OPEN, "file:%P", "file:%P", SHARED_FILE,
      WHOLE | HAS_READY | HAS_TYPE | HAS_END | HAS_ROOM | HAS_LONG | NAMED | HAS_PATH | HAS_CREATE },
    { "file-line", "file", "", MAKE_OPEN, "file:%P?frame=line&follow=yes", "file:%P?frame=line&follow=yes", SHARED_FILE,
      HAS_READY | HAS_BOUNDARIES | HAS_EMPTY | HAS_LONG | NAMED | HAS_PATH | HAS_CREATE },
    { "tcp", "tcp", "", MAKE_LISTEN, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", INTERNET, FRAMED | HAS_FULL | HAS_BOTH | REMOTE },
    { "tcp6", "tcp", "", MAKE_LISTEN, "tcp:[::1]:0", "tcp:[::1]:0", INTERNET, FRAMED | HAS_FULL | HAS_BOTH | REMOTE },
    { "tcp-line", "tcp", "", MAKE_LISTEN, "tcp:127.0.0.1:0?frame=line", "tcp:127.0.0.1:0?frame=line", INTERNET,
      LINES | HAS_FULL | HAS_BOTH | REMOTE },
    { "tcp-none", "tcp", "", MAKE_LISTEN, "tcp:127.0.0.1:0?frame=none", "tcp:127.0.0.1:0?frame=none", INTERNET,
      BYTES | HAS_FULL | HAS_BOTH | REMOTE },
    { "udp", "udp", "", MAKE_OPEN, "udp:127.0.0.1:0", "udp:127.0.0.1:0", NUMBERED,
      WHOLE | HAS_READY | HAS_TYPE | HAS_LONG | HAS_BOTH | HAS_LOSS | REMOTE },
    { "udp6", "udp", "", MAKE_OPEN, "udp:[::1]:0", "udp:[::1]:0", NUMBERED,
      WHOLE | HAS_READY | HAS_TYPE | HAS_LONG | HAS_BOTH | HAS_LOSS | REMOTE },
    { "udp-none", "udp", "", MAKE_OPEN, "udp:127.0.0.1:0?frame=none", "udp:127.0.0.1:0?frame=none", NUMBERED,
      WHOLE | HAS_READY | HAS_LONG | HAS_BOTH | HAS_LOSS | REMOTE },
    { "signal", "signal", "", MAKE_OPEN, "signal:%I?signal=%S", "signal:?signal=%S", NUMBERS,
      HAS_BOUNDARIES | HAS_NUMBERS | HAS_EMPTY | HAS_READY | HAS_NO_FORKING | HAS_OTHER },
};

const int rows_count = sizeof rows / sizeof *rows;
