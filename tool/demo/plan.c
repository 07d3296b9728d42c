/* SPDX-License-Identifier: MIT */
/*
 * The plan of the demo, computed from the table of mechanisms: whatever carries bytes or messages and says how
 * its addresses look ("fifo:PATH") gets a row; so a new mechanism appears by itself.  A mechanism without names
 * that makes pairs gets three, for what processes of one family can be to each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo/demo.h"
#include "report.h"
#include "stop.h"
#include "text.h"
#include "tong/tong.h"

#define RANDOM_SIZE (16 << 20)
#define PIECE (1 << 20)

const char *const relation_words[] = { "unrelated", "parent to child", "child to parent", "between siblings" };

/* ---- The file ------------------------------------------------------------------------------------------ */

static int write_random(int fd)
{
    static unsigned char piece[PIECE];
    for (size_t done = 0; done < RANDOM_SIZE && !stop_asked(); done += PIECE) {
        for (size_t got = 0; got < PIECE;) {
            ssize_t size = getrandom(piece + got, PIECE - got, 0);
            if (size < 0 && errno != EINTR)
                return fail_system(-errno, "getrandom");
            got += size > 0 ? (size_t)size : 0;
        }
        int r = write_all(fd, piece, PIECE);
        if (r < 0)
            return fail_system(r, "the random file");
    }
    return 0;
}

static int make_random(struct source *source)
{
    snprintf(source->random_path, sizeof source->random_path, "%s/random", source->directory);
    source->path = source->random_path;
    int fd = open(source->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_system(-errno, source->path);
    int code = write_random(fd);
    close(fd);
    return code;
}

static int digest(struct source *source, int fd)
{
    static unsigned char piece[PIECE];
    struct sha256 sha;
    sha256_begin(&sha);
    ssize_t size = 0;
    while (!stop_asked() && (size = read(fd, piece, sizeof piece)) != 0) {
        if (size < 0 && errno != EINTR)
            return fail_system(-errno, source->path);
        sha256_add(&sha, piece, size > 0 ? (size_t)size : 0);
    }
    source->size = sha.size;
    sha256_end(&sha, source->digest);
    return 0;
}

static int measure(struct source *source)
{
    struct stat status;
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0)
        return fail_system(-errno, source->path);
    int code = CODE_USAGE;
    if (S_ISREG(status.st_mode))
        code = digest(source, fd);
    else
        say("%s: is not a regular file", source->path);
    close(fd);
    return code;
}

int source_open(struct source *source, const char *path)
{
    *source = (struct source){ .path = path };
    int r = directory_make("demo", source->directory);
    int code = r < 0 ? fail_system(r, "a directory for temporary files (TMPDIR)") : CODE_DONE;
    if (code == 0 && !path)
        code = make_random(source);
    return code ? code : measure(source);
}

void source_close(struct source *source)
{
    directory_remove(source->directory);
}

/* ---- The rows ------------------------------------------------------------------------------------------ */

static uint64_t random_number(void)
{
    uint64_t number = 0;
    while (getrandom(&number, sizeof number, 0) < 0 && errno == EINTR)
        ;
    return number;
}

/* The name that stands in an address of this form, by the word in its place; false when we cannot make one up. */
static bool make_name(const char *word, const struct source *source, char *ret, size_t size)
{
    static int made;
    if (!strcmp(word, "PATH"))
        snprintf(ret, size, "%s/%d", source->directory, made++);
    else if (!strcmp(word, "NAME") || !strcmp(word, "/NAME"))
        snprintf(ret, size, "%stong-demo-%016llx", *word == '/' ? "/" : "", (unsigned long long)random_number());
    else if (!strcmp(word, "KEY"))
        snprintf(ret, size, "0x%08x", (unsigned)(random_number() | 1) & 0x7fffffff);
    else if (!strcmp(word, "HOST:PORT"))
        snprintf(ret, size, "127.0.0.1:0"); /* any free port: the receiver says which */
    else
        return false;
    return true;
}

bool name_address(const tong_mechanism_info *mechanism, const struct source *source, const char *word, char *ret,
                  size_t size)
{
    char name[300];
    if (!make_name(word, source, name, sizeof name))
        return false;
    snprintf(ret, size, "%s:%s", mechanism->scheme, name);
    return true;
}

static bool make_address(struct row *row, const struct source *source)
{
    const char *form = row->mechanism.form, *variant = row->mechanism.variant;
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(strchr(form, ':') + 1, ", "), strchr(form, ':') + 1);
    if (!name_address(&row->mechanism, source, word, row->address, sizeof row->address))
        return false;
    size_t used = strlen(row->address);
    snprintf(row->address + used, sizeof row->address - used, "%s%s", *variant ? "?" : "", variant);
    snprintf(row->label, sizeof row->label, "%s%s%s", row->mechanism.scheme, *variant ? " " : "", variant);
    return true;
}

static int plan_family(const tong_mechanism_info *mechanism, struct row *rows, int most)
{
    int count = 0;
    for (enum relation relation = PARENT_SENDS; relation <= SIBLINGS && count < most; relation++, count++) {
        rows[count] = (struct row){ .mechanism = *mechanism, .relation = relation };
        snprintf(rows[count].address, sizeof rows[count].address, "%s:", mechanism->scheme);
        snprintf(rows[count].label, sizeof rows[count].label, "%s %s", mechanism->scheme, relation_words[relation]);
    }
    return count;
}

static bool carries_bytes(const tong_mechanism_info *mechanism)
{
    return mechanism->offers & TONG_HAS_CHANNEL &&
           (!strncmp(mechanism->unit, "bytes", 5) || !strncmp(mechanism->unit, "message", 7));
}

int plan_rows(const struct source *source, const char *scheme, struct row *rows, int most)
{
    tong_mechanism_info mechanism = TONG_MECHANISM_INFO_INIT;
    int count = 0;
    for (size_t i = 0; count < most && tong_mechanism_describe(i, &mechanism) == 0; i++) {
        if (!carries_bytes(&mechanism) || (scheme && strcmp(scheme, mechanism.scheme)))
            continue;
        const char *colon = strchr(mechanism.form, ':');
        bool nameless = mechanism.offers & TONG_HAS_PAIR && colon && !colon[1];
        rows[count] = (struct row){ .mechanism = mechanism, .relation = UNRELATED };
        if (nameless)
            count += plan_family(&mechanism, rows + count, most - count);
        else if (colon && make_address(&rows[count], source))
            count++;
    }
    return count;
}

/* A key is a small number that anybody may have taken: only one that did not exist before is ours. */
int row_prepare(const struct row *row, struct outcome *outcome)
{
    char exclusive[sizeof row->address + 16];
    if (!strstr(row->mechanism.form, "KEY"))
        return 0;
    snprintf(exclusive, sizeof exclusive, "%s%ccreate=excl", row->address, strchr(row->address, '?') ? '&' : '?');
    tong_channel *channel;
    int r = tong_channel_open(exclusive, TONG_SEND, 0, &channel);
    if (r == 0)
        r = tong_channel_close(channel);
    if (r < 0)
        snprintf(outcome->failure, sizeof outcome->failure, "%s", tong_detail());
    return r;
}

void row_remove(const struct row *row)
{
    if (row->relation == UNRELATED && row->mechanism.offers & TONG_HAS_REMOVE)
        tong_remove(row->address);
}
