/* SPDX-License-Identifier: MIT */
/* diag.h - asking the kernel for its sockets, by sock_diag(7): one dump for a family, of this network namespace. */
#ifndef INSPECT_DIAG_H
#define INSPECT_DIAG_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#define DIAG_ATTRIBUTES 24 /* the highest type that is looked for, and one */

/* One socket: the family's own message, and its attributes by type; NULL: not there. */
struct diag_socket {
    const void *message;
    const struct rtattr *attribute[DIAG_ATTRIBUTES];
};

/* The attribute's bytes, if it has at least `least` of them; else NULL. */
const void *diag_value(const struct diag_socket *socket, unsigned type, size_t least);
size_t diag_size(const struct diag_socket *socket, unsigned type);

/*
 * Sends `request` (a family's request of `size` bytes) and calls `each` with every socket of the answer, whose message has
 * `message` bytes before the attributes, until it returns what is not 0.  A negative errno where sock_diag(7) is refused.
 */
int diag_dump(const void *request, size_t size, size_t message, int (*each)(void *context, const struct diag_socket *),
              void *context);

/* One answer of the kernel's; 1: that was the last; 0: go on; else an error, the kernel's or `each`'s. */
int diag_read(const void *answer, size_t size, size_t message, int (*each)(void *context, const struct diag_socket *),
              void *context);

#endif
