/* SPDX-License-Identifier: MIT */
/*
 * test_guard.c - a file that is cut short under its users: SIGBUS without the guard, -ESTALE with it; and every other
 * SIGBUS goes where it went before.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"

static struct ledger *ledger;
static char name[64], address[96], path[128];
static sigjmp_buf back;
static volatile sig_atomic_t handled;

static void cut(void)
{
    MUST(ledger, truncate(path, 0) == 0, "truncate(%s): %s", path, strerror(errno));
}

/* Runs it in a child, which ends with 0 or, if `expected` is not 0, of that signal. */
static void in_child(void (*run)(void), int expected, const char *what)
{
    int status;
    ledger_clear(ledger, 1);
    pid_t pid = ledger_fork(ledger);
    if (pid == 0) {
        run();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    MUST(ledger, !ledger->failed, "%s: %s", what, ledger->failure);
    MUST(ledger, expected ? WIFSIGNALED(status) && WTERMSIG(status) == expected : status == 0, "%s: status 0x%x", what,
         (unsigned)status);
    tong_remove(address);
    char command[512];
    snprintf(command, sizeof command, "rm -f %s %s.*", path, path);
    MUST(ledger, system(command) == 0, "%s", command);
    printf("%s\n", what);
}

static void guard(void)
{
    MUST(ledger, tong_guard_sigbus() == 0 && tong_guard_sigbus() == 0, "%s", tong_detail());
}

/* ---- Channels --------------------------------------------------------------------------------------------------- */

static void send_into_nothing(void)
{
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    cut();
    tong_channel_send(channel, "x", 1, NULL, 0);
}

static void send_guarded(void)
{
    guard();
    tong_channel *channel = ledger_open(ledger, address, TONG_SEND);
    MUST(ledger, tong_channel_send(channel, "x", 1, NULL, 0) == 0, "%s", tong_detail());
    cut();
    for (int i = 0; i < 3; i++)
        MUST(ledger, tong_channel_send(channel, "x", 1, NULL, 0) == -ESTALE, "send %d: %s", i, tong_detail());
    tong_token token = TONG_TOKEN_INIT;
    int r = tong_channel_reserve(channel, 100, 0, &token);
    MUST(ledger, r < 0 || tong_channel_commit(channel, &token, 100, NULL) == -ESTALE, "commit: %s", tong_detail());
    tong_channel_close(channel);
}

/* The guard comes later than the channel. */
static void receive_guarded(void)
{
    char buffer[16];
    tong_channel *sender = ledger_open(ledger, address, TONG_SEND);
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    MUST(ledger, tong_channel_send(sender, "x", 1, NULL, 0) == 0, "%s", tong_detail());
    guard();
    tong_token token = TONG_TOKEN_INIT;
    MUST(ledger, tong_channel_peek(channel, LONG, NULL, &token) == 1, "%s", tong_detail());
    cut();
    MUST(ledger, *(volatile char *)token.span[0].data == 0, "what is gone is not zero");
    for (int i = 0; i < 3; i++) {
        ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, TONG_SECOND);
        MUST(ledger, r == -ESTALE, "receive %d: %zd %s", i, r, tong_detail());
    }
    MUST(ledger, tong_channel_release(channel, &token) == -ESTALE, "release: %s", tong_detail());
    tong_channel_close(channel);
    tong_channel_close(sender);
}

/* Asleep, in the kernel, when it happens. */
static void wait_guarded(void)
{
    char buffer[16];
    guard();
    tong_channel *channel = ledger_open(ledger, address, TONG_RECEIVE);
    pid_t pid = ledger_fork(ledger);
    if (pid == 0) {
        ledger_sleep(30 * TONG_MILLISECOND);
        cut();
        _exit(0);
    }
    int64_t before = ledger_now();
    ssize_t r = tong_channel_receive(channel, buffer, sizeof buffer, NULL, 3 * TONG_SECOND);
    MUST(ledger, r == -ESTALE || r == -ETIMEDOUT, "%zd %s", r, tong_detail());
    MUST(ledger, ledger_now() - before < 5 * TONG_SECOND, "the timeout did not end the wait");
    tong_channel_close(channel);
}

/* ---- Whatever else raises SIGBUS -------------------------------------------------------------------------------- */

static void on_sigbus(int number)
{
    handled++;
    if (handled == 1)
        siglongjmp(back, number);
}

static void touch_own(void)
{
    long page = sysconf(_SC_PAGESIZE);
    int fd = memfd_create("own", MFD_CLOEXEC);
    volatile char *memory = ftruncate(fd, page) == 0 ? mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    MUST(ledger, memory != MAP_FAILED && ftruncate(fd, 0) == 0, "memfd: %s", strerror(errno));
    (void)*memory;
}

static void handler_before(void)
{
    signal(SIGBUS, on_sigbus);
    guard();
    if (sigsetjmp(back, 1) == 0)
        touch_own();
    MUST(ledger, handled == 1, "the handler that was there before was not called");
    raise(SIGBUS);
    MUST(ledger, handled == 2, "a signal that was sent did not come to the handler");
}

static void default_before(void)
{
    guard();
    touch_own();
}

static void sent_to_default(void)
{
    guard();
    raise(SIGBUS);
}

static void sent_and_ignored(void)
{
    signal(SIGBUS, SIG_IGN);
    guard();
    raise(SIGBUS);
}

int main(void)
{
    ledger = ledger_make();
    snprintf(name, sizeof name, "hostile-guard-%d", (int)getpid());
    snprintf(address, sizeof address, "shm:%s?capacity=16384", name);
    snprintf(path, sizeof path, "/dev/shm/tong.%s", name);
    signal(SIGBUS, SIG_DFL);
#ifndef __SANITIZE_ADDRESS__
    in_child(send_into_nothing, SIGBUS, "without the guard: SIGBUS");
#endif
    in_child(send_guarded, 0, "sending: -ESTALE");
    in_child(receive_guarded, 0, "receiving and peeking: -ESTALE");
    in_child(wait_guarded, 0, "waiting: ends");
    in_child(handler_before, 0, "another mapping: the handler that was there before");
    in_child(sent_and_ignored, 0, "sent and ignored before: ignored");
    in_child(default_before, SIGBUS, "another mapping, no handler before: SIGBUS");
    in_child(sent_to_default, SIGBUS, "sent, no handler before: SIGBUS");
    MUST(ledger, ledger_names(name) == 0, "names are left");
    return 0;
}
