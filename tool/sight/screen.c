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
#include "sight/columns.h"
#include "sight/rank.h"
#include "stop.h"

#define HEAD_LINES 3
#define INTERVAL (2 * TONG_SECOND)
#define COMMAND_SHOWN 600 /* bytes of a command line: letters may have three, and take two columns */

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
    text_print(&text, "tong top %s  %zu stuck, %zu perhaps, %zu full; %zu process%s at %zu channel%s  "
                      "(from %s, each %.1f s)", clock, ranking->stuck, ranking->perhaps, ranking->full,
               ranking->process_count, plural(ranking->process_count, "", "es"), ranking->channel_count,
               plural(ranking->channel_count, "", "s"), tong_snapshot_tier(screen->now), (double)screen->pause / TONG_SECOND);
    draw_line(0, ranking->stuck || ranking->perhaps || ranking->full ? A_BOLD : A_NORMAL, text.data);
    text.used = 0;
    text_print(&text, "by %s; q quit, r rate w waits e ends n name, b both c channels p processes; "
                      "~ is sampled, between two looks", order_words(screen->order));
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

/* What both tables have; the place of each column. */
enum { KIND, RATE, WAITS, ENDS, STATE, NAME, WHO };

static const struct column channel_columns[COLUMNS_MOST] = {
    [KIND] = { "CHANNEL", 0, 8, COLUMN_WHOLE, false }, [RATE] = { "~CHANGE/s", 0, 9, COLUMN_WHOLE, true },
    [WAITS] = { "WAITS", 3, 5, COLUMN_WHOLE, true }, [ENDS] = { "ENDS", 4, 5, COLUMN_WHOLE, true },
    [STATE] = { "STATE", 1, 9, COLUMN_WHOLE, false }, [NAME] = { "NAME", 0, 8, COLUMN_CUT, false },
    [WHO] = { "WHO", 2, 3, COLUMN_REST, false },
};

static const struct column process_columns[COLUMNS_MOST] = {
    [KIND] = { "PROCESS", 0, 8, COLUMN_CUT, false }, [RATE] = { "~CHANGE/s", 0, 9, COLUMN_WHOLE, true },
    [WAITS] = { "WAITS", 3, 5, COLUMN_WHOLE, true }, [ENDS] = { "ENDS", 4, 5, COLUMN_WHOLE, true },
    [STATE] = { "STATE", 1, 6, COLUMN_WHOLE, false }, [STATE + 1] = { "COMMAND", 2, 3, COLUMN_REST, false },
};

static void fill_counts(struct text *cell, const struct rank_row *row)
{
    text_print(&cell[RATE], row->rate < 1e9 ? "%.0f" : "%.3e", row->rate);
    text_print(&cell[WAITS], "%" PRIu32, row->waits);
    text_print(&cell[ENDS], "%" PRIu32, row->ends);
    text_print(&cell[STATE], "%s", stuck_words(row));
}

static void fill_channel(struct text *cell, const struct screen *screen, const struct rank_row *row)
{
    const tong_object *object = tong_snapshot_object(screen->now, row->place);
    text_print(&cell[KIND], "%s", tong_kind_name(object->kind));
    fill_counts(cell, row);
    text_print(&cell[STATE], "%s", cell[STATE].used ? " " : "");
    sight_state(&cell[STATE], object);
    sight_object(&cell[NAME], object);
    sight_ends(&cell[WHO], screen->now, row->place);
}

static void fill_process(struct text *cell, const struct screen *screen, const struct rank_row *row)
{
    const tong_process *process = tong_snapshot_process(screen->now, row->place);
    sight_process(&cell[KIND], process);
    fill_counts(cell, row);
    text_visible(&cell[STATE + 1], process->command, text_whole(process->command, COMMAND_SHOWN), "");
}

struct table {
    const struct column *columns;
    void (*fill)(struct text *cell, const struct screen *screen, const struct rank_row *row);
};

static const struct table channels = { channel_columns, fill_channel }, processes = { process_columns, fill_process };

/* The head, and as many rows as there is room for until `end`. */
static int draw_table(int line, int end, const struct screen *screen, const struct table *table,
                      const struct rank_row *rows, size_t count)
{
    size_t shown = line + 1 >= end ? 0 : count < (size_t)(end - line - 1) ? count : (size_t)(end - line - 1);
    struct text *cell = calloc((shown + 1) * COLUMNS_MOST, sizeof *cell), text = TEXT_INIT;
    struct columns columns = { .table = table->columns };
    if (!cell)
        return line;
    for (size_t i = 0; i < shown; i++)
        table->fill(cell + i * COLUMNS_MOST, screen, &rows[i]);
    columns_fit(&columns, cell, shown, (size_t)COLS);
    columns_line(&text, &columns, NULL);
    draw_line(line++, A_REVERSE, text.data);
    for (size_t i = 0; i < shown; i++) {
        text.used = 0;
        columns_line(&text, &columns, cell + i * COLUMNS_MOST);
        draw_line(line++, rows[i].stuck || rows[i].perhaps || rows[i].full ? A_BOLD : A_NORMAL, text.data);
    }
    for (size_t i = 0; i < shown * COLUMNS_MOST; i++)
        text_free(&cell[i]);
    text_free(&text);
    free(cell);
    return line;
}

/* Channels take the upper half of what is left, or all that processes do not need. */
static void draw(const struct screen *screen)
{
    const struct ranking *ranking = &screen->ranking;
    int line = HEAD_LINES, half = HEAD_LINES + (LINES - HEAD_LINES) / 2;
    draw_head(screen);
    if (screen->view != VIEW_PROCESSES)
        line = draw_table(line, screen->view == VIEW_BOTH ? half : LINES, screen, &channels, ranking->channels,
                          ranking->channel_count);
    if (screen->view != VIEW_CHANNELS)
        line = draw_table(line, LINES, screen, &processes, ranking->processes, ranking->process_count);
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
