/* SPDX-License-Identifier: MIT */
/*
 * From "HOST:PORT" to addresses of sockets and back to words.
 *
 * Traps that are dealt with here:
 *   - getaddrinfo(3) takes the port 70000 for 4464 and +80 for 80: numbers are read before it sees them.
 *   - Who is connected to a socket is not known any more once it was reset, also before it was accepted.
 *   - Whether a socket on [::] takes IPv4 too is a setting of the machine (net.ipv6.bindv6only): it is said for every
 *     socket, so that * is both and [::] is IPv6 alone.
 *   - Ports below net.ipv4.ip_unprivileged_port_start are refused with EACCES, which says nothing of why.
 */
#include "core/inet.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/detail.h"
#include "core/mechanism.h"
#include "sys/sys.h"

#define PORT_MAX 65535

/* The two parts of the name; `host` without brackets. */
struct parts {
    char host[256], port[64];
};

static int malformed(const struct address *address, const char *why)
{
    return fail(-EINVAL, "%.80s: %s: write %s:HOST:PORT, for example %s:127.0.0.1:5000 or %s:[::1]:5000", address->text,
                why, address->scheme, address->scheme, address->scheme);
}

static int split(const struct address *address, struct parts *ret)
{
    const char *name = address->name, *colon = strrchr(name, ':');
    if (address->second)
        return malformed(address, "a socket goes both ways and has one name");
    if (!colon || !colon[1] || strchr(colon, ']'))
        return malformed(address, "a port is missing");
    size_t size = (size_t)(colon - name);
    bool brackets = size >= 2 && *name == '[' && name[size - 1] == ']';
    if (brackets)
        name++, size -= 2;
    else if (memchr(name, ':', size) || memchr(name, '[', size) || memchr(name, ']', size))
        return malformed(address, "an IPv6 address stands in brackets");
    if (size >= sizeof ret->host || strlen(colon + 1) >= sizeof ret->port)
        return malformed(address, "the name is too long");
    memcpy(ret->host, name, size);
    ret->host[size] = '\0';
    strcpy(ret->port, colon + 1);
    return 0;
}

static int check_port(const struct address *address, const char *port)
{
    if (isalnum((unsigned char)*port) && port[strspn(port, "0123456789")])
        return 0; /* a service, perhaps */
    bool number = !port[strspn(port, "0123456789")] && strlen(port) <= 5;
    return number && atoi(port) <= PORT_MAX ? 0 : malformed(address, "a port is a number from 0 to 65535");
}

static int lookup_failed(const struct address *address, const struct parts *parts, int error)
{
    switch (error) {
    case -EADDRNOTAVAIL:
        return fail(error, "%.80s: there is no host '%.80s'", address->text, parts->host);
    case -EPROTONOSUPPORT:
        return fail(error, "%.80s: there is no service '%s' in /etc/services: give the number of the port",
                    address->text, parts->port);
    case -EHOSTUNREACH:
        return fail(error, "%.80s: no name server answered for '%.80s': try again, or give the number of the host",
                    address->text, parts->host);
    default:
        return fail_call(error, "getaddrinfo(%.80s)", address->text);
    }
}

static bool take(struct inet_list *list, const struct addrinfo *info)
{
    if (list->count == INET_MOST || info->ai_addrlen > sizeof *list->at)
        return false;
    memcpy(&list->at[list->count++], info->ai_addr, info->ai_addrlen);
    return true;
}

int inet_resolve(const struct address *address, int type, bool binds, struct inet_list *ret)
{
    struct parts parts;
    int r = split(address, &parts);
    if (r < 0 || (r = check_port(address, parts.port)) < 0)
        return r;
    struct inet_list list = { .count = 0 };
    bool star = !strcmp(parts.host, "*");
    list.everywhere = star && binds;
    struct addrinfo hints = { .ai_socktype = type, .ai_flags = list.everywhere ? AI_PASSIVE : 0 }, *found;
    r = sys_getaddrinfo(star || !*parts.host ? NULL : parts.host, parts.port, &hints, &found);
    if (r < 0)
        return lookup_failed(address, &parts, r);
    /* IPv6 first where it can take both; where the host was left out, IPv4, which every program speaks */
    int first = list.everywhere ? AF_INET6 : !*parts.host ? AF_INET : AF_UNSPEC;
    for (const struct addrinfo *info = found; info; info = info->ai_next)
        if (first == AF_UNSPEC || info->ai_family == first)
            take(&list, info);
    for (const struct addrinfo *info = found; info && first != AF_UNSPEC; info = info->ai_next)
        if (info->ai_family != first)
            take(&list, info);
    freeaddrinfo(found);
    *ret = list;
    return list.count ? 0 : lookup_failed(address, &parts, -EADDRNOTAVAIL);
}

/* ---- Words --------------------------------------------------------------------------------------------------- */

socklen_t inet_size(const union inet_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->six : sizeof address->four;
}

static unsigned port_of(const union inet_address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->six.sin6_port : address->four.sin_port);
}

bool inet_port_is_zero(const union inet_address *address)
{
    return port_of(address) == 0;
}

void inet_text(const union inet_address *address, char ret[INET_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "?", scope[16] = "";
    bool six = address->any.sa_family == AF_INET6;
    if (six && IN6_IS_ADDR_V4MAPPED(&address->six.sin6_addr)) {
        inet_ntop(AF_INET, address->six.sin6_addr.s6_addr + 12, host, sizeof host);
        six = false;
    } else {
        inet_ntop(address->any.sa_family, six ? (const void *)&address->six.sin6_addr : &address->four.sin_addr, host,
                  sizeof host);
    }
    if (six && address->six.sin6_scope_id)
        snprintf(scope, sizeof scope, "%%25%u", address->six.sin6_scope_id);
    snprintf(ret, INET_TEXT, six ? "[%s%s]:%u" : "%s%s:%u", host, scope, port_of(address));
}

int inet_here(int fd, union inet_address *ret)
{
    socklen_t size = sizeof *ret;
    int r = sys_getsockname(fd, &ret->any, &size);
    return r < 0 ? fail_call(r, "getsockname") : 0;
}

int inet_there(int fd, union inet_address *ret)
{
    socklen_t size = sizeof *ret;
    int r = sys_getpeername(fd, &ret->any, &size);
    return r < 0 ? fail_call(r, "getpeername") : 0;
}

int inet_object(const char *scheme, int fd, char ret[INET_OBJECT])
{
    union inet_address here, there;
    char from[INET_TEXT], to[INET_TEXT] = "somebody who is gone";
    int r = inet_here(fd, &here);
    if (r < 0 || ((r = inet_there(fd, &there)) < 0 && r != -ENOTCONN))
        return r;
    inet_text(&here, from);
    if (r == 0)
        inet_text(&there, to);
    snprintf(ret, INET_OBJECT, "%s:%s to %s", scheme, from, to);
    return 0;
}

/* Where the kernel chose: the name as it was given, up to its last colon, then the number, then the options.  Where that
 * colon was written %3A, and so is not the last in the text, the host is given in figures. */
char *inet_open_to_others(const struct address *address, const union inet_address *bound)
{
    const char *text = address->text, *options = text + strcspn(text, "?");
    const char *colon = memrchr(text, ':', (size_t)(options - text)), *port = strrchr(address->name, ':') + 1;
    char at[INET_TEXT], *whole = NULL;
    bool chosen = !port[strspn(port, "0")], hidden = strspn(colon + 1, "0%3") != (size_t)(options - colon - 1);
    inet_text(bound, at);
    int r = !chosen  ? asprintf(&whole, "%s", text)
            : hidden ? asprintf(&whole, "%s:%s%s", address->scheme, at, options)
                     : asprintf(&whole, "%.*s:%u%s", (int)(colon - text), text, port_of(bound), options);
    return r < 0 ? NULL : whole;
}

int inet_connect_failed(const char *text, int error)
{
    switch (error) {
    case -EHOSTUNREACH: case -ENETUNREACH:
        return fail(error, "%.80s: there is no way to that host from here: see ip route, and for this very machine whether "
                    "its loopback interface is up: ip link set lo up", text);
    case -EADDRNOTAVAIL: case -EAFNOSUPPORT:
        return fail(error, "%.80s: this machine has no address to send from to such a one (no IPv6, or no loopback: ip "
                    "address), or no port is left (net.ipv4.ip_local_port_range)", text);
    case -EACCES: case -EPERM:
        return fail(-EACCES, "%.80s: nothing may be sent there: a firewall of this machine forbids it, or it is an address "
                    "for broadcasts, which tong does not ask for", text);
    default:
        return fail_call(error, "connect(%.80s)", text);
    }
}

/* ---- Binding --------------------------------------------------------------------------------------------------- */

static int bind_failed(const struct address *address, const union inet_address *at, int error)
{
    switch (error) {
    case -EADDRINUSE:
        return fail(error, "%.80s: another socket is bound to port %u: choose another port, or 0 for a free one",
                    address->text, port_of(at));
    case -EADDRNOTAVAIL:
        return fail(error, "%.80s: the host is not an address of this machine, and only those can be bound",
                    address->text);
    case -EACCES:
        return fail(error, "%.80s: ports below %llu (net.ipv4.ip_unprivileged_port_start) are for root and "
                    "CAP_NET_BIND_SERVICE: choose a higher one", address->text,
                    (unsigned long long)inet_limit_lowest_port("net.ipv4.ip_unprivileged_port_start"));
    default:
        return fail_call(error, "bind(%.80s)", address->text);
    }
}

static int bind_one(const struct address *address, const union inet_address *at, bool both, int type,
                    inet_prepare *prepare, int *ret)
{
    int fd = sys_socket(at->any.sa_family, type);
    if (fd < 0)
        return fail_call(fd, "%.80s: socket", address->text);
    int alone = !both, r = 0;
    if (at->any.sa_family == AF_INET6 && (r = sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, sizeof alone)) < 0)
        r = fail_call(r, "%.80s: IPV6_V6ONLY", address->text);
    if (r == 0)
        r = prepare(fd, address);
    if (r == 0 && (r = sys_bind(fd, &at->any, inet_size(at))) < 0)
        r = bind_failed(address, at, r);
    if (r < 0)
        sys_close(fd);
    else
        *ret = fd;
    return r;
}

int inet_bind(const struct address *address, const struct inet_list *list, int type, inet_prepare *prepare, int *ret)
{
    int r = -EADDRNOTAVAIL;
    for (int i = 0; i < list->count; i++) {
        r = bind_one(address, &list->at[i], list->everywhere, type, prepare, ret);
        /* a server on the second address would not be the one that was meant */
        if (r == 0 || r == -EADDRINUSE || r == -EACCES)
            return r;
    }
    return r;
}

/* ---- Limits ----------------------------------------------------------------------------------------------------- */

uint64_t inet_limit_last(const char *source)
{
    char text[96];
    const char *space = limit_text_from_proc(source, text, sizeof text) ? strpbrk(text, " \t") : NULL;
    for (const char *next = space; next && (next = strpbrk(next + 1, " \t")); )
        space = next;
    return space ? strtoull(space, NULL, 10) : TONG_UNKNOWN;
}

uint64_t inet_limit_lowest_port(const char *source)
{
    uint64_t first = limit_from_proc(source);
    return first ? first : 1; /* 0 asks the kernel to choose */
}
