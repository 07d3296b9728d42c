/* SPDX-License-Identifier: MIT */
/*
 * The server: one thread of libmicrohttpd answers, the main thread looks at the machine while somebody follows, and
 * sleeps else.  The page is for everybody who asks a name of this machine: it is the same everywhere and shows nothing
 * without the events, and these want the token.  The link has the token behind '#', where browsers keep it to
 * themselves; the page says it when it asks for the events.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "report.h"
#include "sight/sight.h"
#include "stop.h"
#include "web/stream.h"
#include "web/web.h"

#define TOKEN_BYTES 16
#define PAUSE_LEAST TONG_SECOND
#define PAUSE_MOST (60 * TONG_SECOND)
#define CONNECTIONS_MAX 32
#define IDLE_SECONDS 30 /* of a connection that asks for nothing; followers are never idle */

struct server {
    char token[TOKEN_BYTES * 2 + 1];
    int listener, wake;
    uint32_t look;           /* TONG_LOOK_... of each picture */
    const char *path;        /* of the socket, or NULL */
    struct MHD_Daemon *daemon;
};

/* ---- Who may see it -------------------------------------------------------------------------------------- */

static int make_token(struct server *server)
{
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return fail_system(-errno, "getrandom");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(server->token + i * 2, 3, "%02x", bytes[i]);
    return 0;
}

/* Takes as long wherever the first wrong letter is. */
static bool knows_token(const struct server *server, const char *said)
{
    const size_t size = sizeof server->token - 1;
    unsigned char differs = 0;
    if (!said || strlen(said) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned char)(said[i] ^ server->token[i]);
    return differs == 0;
}

/* A page of another site can make its name mean this address, but not have the browser ask for another name. */
static bool is_local(const char *host)
{
    static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };
    for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i]);
        if (!strncasecmp(host, names[i], size) && (host[size] == '\0' || host[size] == ':'))
            return true;
    }
    return false;
}

/* ---- Answers --------------------------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response, const char *type)
{
    const struct { const char *name, *value; } headers[] = {
        { "Content-Type", type }, { "Cache-Control", "no-store" }, { "Content-Security-Policy", web_policy },
        { "Referrer-Policy", "no-referrer" }, { "X-Content-Type-Options", "nosniff" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        mhd.add_response_header(response, headers[i].name, headers[i].value);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, struct MHD_Response *response,
                              const char *type)
{
    if (!response)
        return MHD_NO;
    add_headers(response, type);
    enum MHD_Result queued = mhd.queue_response(connection, code, response);
    mhd.destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned code, const char *words)
{
    struct MHD_Response *response =
        mhd.create_response_from_buffer(strlen(words), (void *)words, MHD_RESPMEM_PERSISTENT);
    return answer(connection, code, response, "text/plain; charset=utf-8");
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *body, size_t *body_size, void **place)
{
    const struct server *server = context;
    (void)version, (void)body, (void)body_size, (void)place;
    if (!is_local(mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Host")))
        return refuse(connection, MHD_HTTP_FORBIDDEN, "Ask 127.0.0.1 or localhost, by no other name.\n");
    if (strcmp(method, "GET") != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET.\n");
    if (strcmp(url, "/") != 0 && strcmp(url, "/events") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "There are / and /events.\n");
    if (!strcmp(url, "/events")) {
        if (!knows_token(server, mhd.lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "token")))
            return refuse(connection, MHD_HTTP_FORBIDDEN, "The token is missing or wrong: use the link that was printed last.\n");
        return answer(connection, MHD_HTTP_OK, stream_join(connection, server->wake), "text/event-stream");
    }
    struct MHD_Response *page =
        mhd.create_response_from_buffer(web_page_size, (void *)web_page, MHD_RESPMEM_PERSISTENT);
    return answer(connection, MHD_HTTP_OK, page, "text/html; charset=utf-8");
}

/* ---- The picture ----------------------------------------------------------------------------------------- */

static bool touches_two(const tong_snapshot *snapshot, uint32_t object, uint32_t *process)
{
    size_t first, count = tong_snapshot_ends_of(snapshot, object, &first);
    for (size_t i = 0; i < count; i++) {
        uint32_t other = tong_snapshot_end(snapshot, first + i)->process;
        if (*process != TONG_NOBODY && *process != other)
            return true;
        *process = other;
    }
    return false;
}

/* What lies between two processes, what has nobody, and what others could come to. */
static bool is_shown(const tong_snapshot *snapshot, uint32_t number)
{
    const tong_object *object = tong_snapshot_object(snapshot, number);
    uint32_t process = TONG_NOBODY;
    return object->flags & (TONG_OBJECT_LISTENING | TONG_OBJECT_ORPHAN) || touches_two(snapshot, number, &process) ||
           (object->peer != TONG_NOBODY && touches_two(snapshot, object->peer, &process));
}

/* One waits for what another one has, a counter or a word in memory; that parents wait for children goes unsaid. */
static bool is_awaited(const tong_snapshot *snapshot, const tong_wait_seen *wait)
{
    uint32_t process = wait->process;
    return wait->object != TONG_NOBODY &&
           tong_snapshot_object(snapshot, wait->object)->kind != TONG_KIND_PROCESS &&
           touches_two(snapshot, wait->object, &process);
}

static void choose(const tong_snapshot *snapshot, bool *keep)
{
    const tong_finding *finding;
    const tong_wait_seen *wait;
    const tong_end *end;
    uint32_t index;
    for (uint32_t i = 0; i < tong_snapshot_objects(snapshot); i++)
        keep[i] = is_shown(snapshot, i);
    for (size_t i = 0; (end = tong_snapshot_end(snapshot, i)); i++)
        keep[end->object] |= sight_opens(end);
    for (size_t i = 0; (wait = tong_snapshot_wait(snapshot, i)); i++)
        if (is_awaited(snapshot, wait))
            keep[wait->object] = true;
    for (size_t i = 0; (finding = tong_snapshot_finding(snapshot, i)); i++)
        if (finding->object != TONG_NOBODY)
            keep[finding->object] = true;
    for (size_t i = 0; (index = tong_snapshot_stuck(snapshot, i)) != TONG_NOBODY; i++) {
        uint32_t object = tong_snapshot_wait(snapshot, index)->object;
        if (object != TONG_NOBODY)
            keep[object] = true;
    }
}

/* Looks, and tells of it.  The last picture is kept until the next is taken: what that needs is then at hand. */
static int tell(uint32_t look, tong_snapshot **last)
{
    tong_snapshot *snapshot;
    struct text text = TEXT_INIT;
    struct json json = { &text, false };
    int code = sight_take(look, &snapshot);
    if (code)
        return code;
    bool *keep = calloc(tong_snapshot_objects(snapshot) + 1, sizeof *keep);
    if (keep)
        choose(snapshot, keep);
    text_print(&text, "data: ");
    sight_write_json(&json, snapshot, keep, NULL);
    text_print(&text, "\n\n");
    stream_tell(&text);
    free(keep);
    tong_snapshot_free(*last);
    *last = snapshot;
    return 0;
}

struct pace {
    int64_t began, spent; /* when the last look did: the time, and the processor time until then */
    int64_t pause;        /* from then to the next */
};

/* By the last round, with what it took to carry the picture, or by this look, whichever took more. */
static void choose_pause(struct pace *pace, int64_t spent_before)
{
    int64_t round = pace->spent - spent_before, look = sight_used() - pace->spent;
    int64_t pause = sight_pause(PAUSE_LEAST, round > look ? round : look);
    pace->pause = pause > PAUSE_MOST ? PAUSE_MOST : pause;
}

static int look_again(struct pace *pace, uint32_t look, tong_snapshot **last)
{
    int64_t spent_before = pace->spent;
    pace->began = clock_now();
    pace->spent = sight_used();
    int code = tell(look, last);
    if (code == 0)
        choose_pause(pace, spent_before);
    return code;
}

/* Looks while somebody follows, and soon for the first who comes. */
static int follow(const struct server *server)
{
    struct pace pace = { -PAUSE_LEAST, sight_used(), PAUSE_LEAST };
    tong_snapshot *last = NULL;
    eventfd_t ignored;
    int code = 0;
    while (code == 0 && !stop_asked()) {
        bool followed = stream_followed();
        pace.pause = followed ? pace.pause : PAUSE_LEAST;
        if (followed && clock_now() >= pace.began + pace.pause)
            code = look_again(&pace, server->look, &last);
        if (!followed) {
            tong_snapshot_free(last);
            last = NULL;
        }
        int64_t left = pace.began + pace.pause - clock_now();
        struct pollfd wait = { .fd = server->wake, .events = POLLIN };
        if (poll(&wait, 1, !followed ? -1 : left > 0 ? (int)(left / TONG_MILLISECOND) + 1 : 0) > 0)
            eventfd_read(server->wake, &ignored);
    }
    tong_snapshot_free(last);
    return code;
}

/* ---- Where it is ----------------------------------------------------------------------------------------- */

static int listen_at(struct server *server, const struct sockaddr *address, socklen_t size, const char *what)
{
    server->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0)
        return fail_system(-errno, what);
    const int yes = 1; /* a port is free again as soon as it is left; names of sockets do not know this */
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    mode_t before = umask(0177);
    int r = bind(server->listener, address, size);
    int error = errno;
    umask(before);
    if (r < 0)
        return fail_system(-error, what);
    return listen(server->listener, CONNECTIONS_MAX) < 0 ? fail_system(-errno, what) : 0;
}

/* As a shell reads it. */
static void print_word(const char *word)
{
    putchar('\'');
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){ *word, '\0' }, stdout);
    putchar('\'');
}

/* No browser opens a socket by its path: ssh makes a port of it, on this machine, too. */
static void print_ways(const struct server *server, const char *path)
{
    char host[256] = "localhost", place[PATH_MAX + sizeof "8000:"] = "8000:";
    const char *user = sight_user(geteuid());
    if (!realpath(path, place + strlen(place)))
        snprintf(place, sizeof place, "8000:%s", path);
    gethostname(host, sizeof host - 1);
    printf("http://localhost:8000/#token=%s\nssh -N -L ", server->token);
    print_word(place);
    printf(" %s%s%s\ncurl -N --unix-socket ", user ? user : "", user ? "@" : "", host);
    print_word(strchr(place, ':') + 1);
    printf(" 'http://localhost/events?token=%s'\n", server->token);
    say("the link works while the line below it runs where the browser is; the last line shows the pictures as JSON");
}

static int listen_path(struct server *server, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!*path || strlen(path) >= sizeof address.sun_path)
        return fail_usage("--socket: a path of 1 to %zu bytes", sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    int code = listen_at(server, (const struct sockaddr *)&address, sizeof address, path);
    if (code)
        return code;
    server->path = path;
    print_ways(server, path);
    return 0;
}

static int listen_port(struct server *server, uint16_t port)
{
    char what[32];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    snprintf(what, sizeof what, "127.0.0.1:%u", port);
    int code = listen_at(server, (const struct sockaddr *)&address, sizeof address, what);
    if (code)
        return code;
    if (getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
        return fail_system(-errno, what);
    printf("http://127.0.0.1:%u/#token=%s\n", ntohs(address.sin_port), server->token);
    return 0;
}

/* With signals blocked in its thread: they are for the main thread, whose poll they interrupt. */
static int start(struct server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->daemon = mhd.start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                                      on_request, server,
                                      MHD_OPTION_LISTEN_SOCKET, server->listener,
                                      MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                                      MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server->daemon)
        return 0;
    say("libmicrohttpd could not start its server");
    return CODE_FAILED;
}

static void end(struct server *server)
{
    stream_end();
    if (server->daemon)
        mhd.stop_daemon(server->daemon);
    else if (server->listener >= 0)
        close(server->listener);
    if (server->path)
        unlink(server->path);
    if (server->wake >= 0)
        close(server->wake);
}

int web_serve(uint16_t port, const char *path, uint32_t tier)
{
    struct server server = { .listener = -1, .wake = -1, .look = TONG_LOOK_ALL | tier };
    int code = mhd_load();
    code = code ? code : make_token(&server);
    if (code)
        return code;
    stop_catch();
    server.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = server.wake < 0 ? fail_system(-errno, "eventfd") : 0;
    code = code ? code : path ? listen_path(&server, path) : listen_port(&server, port);
    code = code ? code : start(&server);
    if (code == 0 && fflush(stdout) != 0)
        code = fail_system(-errno, "standard output");
    code = code ? code : follow(&server);
    end(&server);
    return stop_end(code);
}
