/* SPDX-License-Identifier: MIT */
#include "sight/screen.h"

#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"
#include "report.h"
#include "sight/rank.h"
#include "stop.h"

#define HEAD_LINES 3
#define INTERVAL (2 * TONG_SECOND)
#define COMMAND_SHOWN 200 /* bytes of a command line */

enum view { VIEW_BOTH, VIEW_CHANNELS, VIEW_PROCESSES };

struct screen {
    const tong_snapshot *now;
    struct ranking ranking;
    enum rank_order order;
    enum view view;
    int64_t pause; /* from this look to the next */
    bool over;
};

static const struct {
    int key;
    enum rank_order order;
    const char *words;
} orders[] = {
    { 'r', RANK_RATE, "rate" }, { 'w', RANK_WAITS, "waits" }, { 'e', RANK_ENDS, "ends" }, { 'n', RANK_NAME, "name" },
};

static const struct { int key; enum view view; } views[] = {
    { 'b', VIEW_BOTH }, { 'c', VIEW_CHANNELS }, { 'p', VIEW_PROCESSES },
};

/* ---- Drawing ---------------------------------------------------------------------------------------------- */

/* From above downwards: what is too long runs into the line below, which is cleared when its turn comes. */
static void draw_line(int line, attr_t attributes, const char *words)
{
    move(line, 0);
    clrtoeol();
    attrset(attributes);
    addstr(words);
    attrset(A_NORMAL);
}

static const char *order_words(enum rank_order order)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (orders[i].order == order)
            return orders[i].words;
    return "?";
}

static void draw_gaps(struct text *text, const tong_snapshot *snapshot)
{
    const tong_gap *gap;
    for (size_t i = 0; (gap = tong_snapshot_gap(snapshot, i)); i++)
        text_print(text, "%s %s (%u)", i ? "," : "not seen:", gap->what, gap->count);
    text_print(text, "%s", tong_snapshot_gaps(snapshot) ? "" : "everything was seen");
}

static void draw_head(const struct screen *screen)
{
    struct text text = TEXT_INIT;
    const struct ranking *ranking = &screen->ranking;
    time_t now = time(NULL);
    struct tm local;
    char clock[16] = "";
    if (localtime_r(&now, &local))
        strftime(clock, sizeof clock, "%H:%M:%S", &local);
    text_print(&text, "tong top %s  %zu process%s at %zu channel%s, %zu stuck, %zu perhaps, %zu full  "
                      "(from %s, each %.1f s)", clock, ranking->process_count, plural(ranking->process_count, "", "es"),
               ranking->channel_count, plural(ranking->channel_count, "", "s"), ranking->stuck, ranking->perhaps, ranking->full,
               tong_snapshot_tier(screen->now), (double)screen->pause / TONG_SECOND);
    draw_line(0, ranking->stuck || ranking->perhaps || ranking->full ? A_BOLD : A_NORMAL, text.data);
    text.used = 0;
    text_print(&text, "by %s; ~ is sampled, between two looks; keys: r rate, w waits, e ends, n name; "
                      "b both, c channels, p processes; q quits", order_words(screen->order));
    draw_line(1, A_NORMAL, text.data);
    text.used = 0;
    draw_gaps(&text, screen->now);
    draw_line(2, A_DIM, text.data);
    text_free(&text);
}

static const char *stuck_words(const struct rank_row *row)
{
    return row->stuck ? "stuck" : row->perhaps ? "stuck?" : "";
}

static void draw_channel(int line, const struct screen *screen, const struct rank_row *row)
{
    const tong_object *object = tong_snapshot_object(screen->now, row->place);
    struct text text = TEXT_INIT, name = TEXT_INIT, state = TEXT_INIT;
    sight_object(&name, object);
    sight_state(&state, object);
    text_print(&text, "%-8s %10.0f %5" PRIu32 " %5" PRIu32 "  %-6s %-20s %s  ", tong_kind_name(object->kind), row->rate,
               row->waits, row->ends, stuck_words(row), state.data, name.data);
    sight_ends(&text, screen->now, row->place);
    draw_line(line, row->stuck || row->perhaps || row->full ? A_BOLD : A_NORMAL, text.data);
    text_free(&text);
    text_free(&name);
    text_free(&state);
}

static void draw_process(int line, const struct screen *screen, const struct rank_row *row)
{
    const tong_process *process = tong_snapshot_process(screen->now, row->place);
    struct text text = TEXT_INIT;
    text_print(&text, "%-8" PRId64 " %10.0f %5" PRIu32 " %5" PRIu32 "  %-6s ", process->pid, row->rate, row->waits,
               row->ends, stuck_words(row));
    sight_process(&text, process);
    text_print(&text, "  ");
    text_visible(&text, process->command, strnlen(process->command, COMMAND_SHOWN), "");
    draw_line(line, row->stuck || row->perhaps ? A_BOLD : A_NORMAL, text.data);
    text_free(&text);
}

static int draw_rows(int line, int end, const struct screen *screen, const struct rank_row *rows, size_t count,
                     void (*draw)(int line, const struct screen *screen, const struct rank_row *row))
{
    for (size_t i = 0; i < count && line < end; i++)
        draw(line++, screen, &rows[i]);
    return line;
}

/* Channels take the upper half of what is left, or all that processes do not need. */
static void draw(const struct screen *screen)
{
    const struct ranking *ranking = &screen->ranking;
    int line = HEAD_LINES, half = HEAD_LINES + (LINES - HEAD_LINES) / 2;
    draw_head(screen);
    if (screen->view != VIEW_PROCESSES) {
        draw_line(line++, A_REVERSE, "CHANNEL    ~CHANGE/s WAITS  ENDS         STATE                NAME  WHO");
        line = draw_rows(line, screen->view == VIEW_BOTH ? half : LINES, screen, ranking->channels,
                         ranking->channel_count, draw_channel);
    }
    if (screen->view != VIEW_CHANNELS) {
        draw_line(line++, A_REVERSE, "PROCESS    ~CHANGE/s WAITS  ENDS         NAME  COMMAND");
        line = draw_rows(line, LINES, screen, ranking->processes, ranking->process_count, draw_process);
    }
    for (; line < LINES; line++)
        draw_line(line, A_NORMAL, "");
    refresh();
}

/* ---- Keys ------------------------------------------------------------------------------------------------- */

static void take_key(struct screen *screen, int key)
{
    screen->over |= key == 'q' || key == 'Q';
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (orders[i].key == key)
            screen->order = orders[i].order;
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (views[i].key == key)
            screen->view = views[i].view;
    if (key == KEY_RESIZE)
        clear();
}

/* Until the next look is due; a signal ends the wait for a key. */
static void take_keys(struct screen *screen, int64_t deadline)
{
    int64_t left;
    while (!screen->over && !stop_asked() && (left = deadline_left(deadline)) > 0) {
        rank_sort(&screen->ranking, screen->order);
        draw(screen);
        timeout((int)(left < TONG_SECOND * 3600 ? left / TONG_MILLISECOND + 1 : -1));
        take_key(screen, getch());
    }
}

/* ---- The terminal ----------------------------------------------------------------------------------------- */

static int run(struct screen *screen, int64_t interval, uint32_t look)
{
    tong_snapshot *before = NULL, *now = NULL;
    int code = 0;
    int64_t used = sight_used();
    while (code == 0 && !screen->over && !stop_asked() && (code = sight_take(look, &now)) == 0) {
        screen->now = now;
        int r = rank_make(before, now, &screen->ranking);
        int64_t cost = before ? sight_used() - used : 0; /* the first takes more than those that follow */
        screen->pause = interval == SCREEN_AS_FITS ? sight_pause(INTERVAL, cost) : interval;
        if (r == 0)
            take_keys(screen, deadline_after(screen->pause));
        else
            code = fail_system(r, "ranking");
        rank_free(&screen->ranking);
        tong_snapshot_free(before);
        before = now;
        used = sight_used();
    }
    tong_snapshot_free(before);
    return code;
}

int screen_show(int64_t interval, uint32_t tier)
{
    struct screen screen = { .order = RANK_RATE };
    const char *type = getenv("TERM");
    setlocale(LC_CTYPE, ""); /* names are UTF-8, if the terminal is */
    SCREEN *terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
    if (!terminal) {
        if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
            say("needs a terminal that is known (TERM is '%s'); tong ls and tong watch do without", type ? type : "");
        else
            say("needs a terminal at standard input and output; tong ls and tong watch do without");
        return CODE_FAILED;
    }
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
    stop_catch();
    int code = run(&screen, interval, TONG_LOOK_ALL | tier);
    endwin();
    delscreen(terminal);
    return stop_end(code);
}
