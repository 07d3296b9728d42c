/* SPDX-License-Identifier: MIT */
#include "inspect/diag.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define ANSWER 65536
#define REQUEST 128

const void *diag_value(const struct diag_socket *socket, unsigned type, size_t least)
{
    const struct rtattr *attribute = socket->attribute[type];
    return attribute && RTA_PAYLOAD(attribute) >= least ? RTA_DATA(attribute) : NULL;
}

size_t diag_size(const struct diag_socket *socket, unsigned type)
{
    return socket->attribute[type] ? RTA_PAYLOAD(socket->attribute[type]) : 0;
}

static int ask(int fd, const void *request, size_t size)
{
    struct {
        struct nlmsghdr head;
        char body[REQUEST];
    } message = { .head = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(size), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
    memcpy(NLMSG_DATA(&message.head), request, size);
    ssize_t r = sys_send(fd, &message, message.head.nlmsg_len, 0);
    return r < 0 ? (int)r : 0;
}

static void find_attributes(const struct nlmsghdr *head, size_t size, struct diag_socket *ret)
{
    int left = (int)head->nlmsg_len - (int)NLMSG_LENGTH(size);
    const struct rtattr *attribute = (const struct rtattr *)((const char *)NLMSG_DATA(head) + NLMSG_ALIGN(size));
    *ret = (struct diag_socket){ .message = NLMSG_DATA(head) };
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        if (attribute->rta_type < DIAG_ATTRIBUTES)
            ret->attribute[attribute->rta_type] = attribute;
}

int diag_read(const void *answer, size_t size, size_t message,
              int (*each)(void *context, const struct diag_socket *), void *context)
{
    int r = 0, left = (int)size; /* below 0 behind a message whose padding is not there */
    for (const struct nlmsghdr *head = answer; r == 0 && left > 0 && NLMSG_OK(head, (unsigned)left);
         head = NLMSG_NEXT(head, left)) {
        struct diag_socket socket;
        if (head->nlmsg_type == NLMSG_DONE)
            return 1;
        if (head->nlmsg_type == NLMSG_ERROR)
            return head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) ? ((const struct nlmsgerr *)NLMSG_DATA(head))->error
                                                                            : -EPROTO;
        if (head->nlmsg_len < NLMSG_LENGTH(message))
            continue;
        find_attributes(head, message, &socket);
        r = each(context, &socket);
    }
    return r;
}

int diag_dump(const void *request, size_t size, size_t message, int (*each)(void *context, const struct diag_socket *),
              void *context)
{
    char *answer = malloc(ANSWER);
    int fd = answer ? sys_netlink(NETLINK_SOCK_DIAG) : -ENOMEM;
    int r = fd < 0 ? fd : ask(fd, request, size);
    while (r == 0) {
        ssize_t got = sys_recv(fd, answer, ANSWER, 0);
        r = got == -EINTR ? 0 : got <= 0 ? (int)(got ? got : -EPROTO)
                                         : diag_read(answer, (size_t)got, message, each, context);
    }
    sys_close(fd);
    free(answer);
    return r == 1 ? 0 : r;
}
