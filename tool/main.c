/* SPDX-License-Identifier: MIT */
/* The command: a table of verbs, and the help that is printed from it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "report.h"
#include "text.h"
#include "tong/base.h"

static int run_help(const struct command *self, int argc, char **argv);
static int run_version(const struct command *self, int argc, char **argv);

static const struct option_row no_options[] = { OPTIONS_LAST };

static const struct command cmd_help = {
    "help", "Other", "show the verbs, or all about one", "[VERB...]", NULL, "tong help send",
    no_options, 0, 2, 0, run_help,
};
static const struct command cmd_version = {
    "version", "Other", "show the version", "", NULL, "tong version",
    no_options, 0, 0, 0, run_version,
};

const struct command *const commands[] = {
    &cmd_demo,
    &cmd_explain,
    &cmd_send,
    &cmd_recv,
    &cmd_talk,
    &cmd_pipe,
    &cmd_relay,
    &cmd_region,
    &cmd_sem,
    &cmd_lock,
    &cmd_signal,
    &cmd_rm,
    &cmd_ls,
    &cmd_map,
    &cmd_doctor,
    &cmd_top,
    &cmd_watch,
    &cmd_trace,
    &cmd_gc,
    &cmd_web,
    &cmd_bench,
    &cmd_advise,
    &cmd_completion,
    &cmd_help,
    &cmd_version,
    &cmd_demo_carry,
    &cmd_complete,
    NULL,
};

static const struct { const char *option; const struct command *command; } spellings[] = {
    { "--help", &cmd_help }, { "-h", &cmd_help }, { "--version", &cmd_version }, { "-V", &cmd_version },
};

static void print_codes(void)
{
    const char *words;
    int code;
    puts("\nExit codes");
    for (int i = 0; (words = exit_code_words(i, &code)); i++)
        printf("  %-3d %s\n", code, words);
}

/* A verb that runs other programs exits as they do. */
static void print_program_codes(void)
{
    puts("\nExit codes");
    const struct { const char *code, *words; } rows[] = {
        { "N", "the status of the program, of two the last" },
        { "128+N", "signal N killed it" },
        { "2", "wrong usage" },
        { "125", "tong itself failed" },
        { "126", "the program could not be executed" },
        { "127", "the program was not found" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("  %-7s %s\n", rows[i].code, rows[i].words);
}

static void print_overview(void)
{
    printf("tong %s: every way two processes can talk, behind one command\n\n"
           "usage: tong VERB [OPTION...] [ARGUMENT...]\n", tong_version());
    const char *group = "";
    for (const struct command *const *row = commands; *row; row++) {
        if (!(*row)->group)
            continue;
        if (strcmp(group, (*row)->group))
            printf("\n%s\n", group = (*row)->group);
        printf("  %-11s %s\n", (*row)->name, (*row)->summary);
    }
    puts("\nThe address chooses the mechanism: fifo:/tmp/f, unix:/tmp/s, msgq:1234, shm:jobs, file:/tmp/log ...\n"
         "'tong explain' lists them, 'tong explain shm' says all about one, with the options of its address\n"
         "(shm:jobs?receivers=3), 'tong VERB --help' all about a verb.  In two terminals:\n\n"
         "  tong recv fifo:/tmp/f\n"
         "  tong send fifo:/tmp/f hello");
    print_codes();
}

static void print_option(const struct option_row *row)
{
    char left[40];
    char letter[] = { '-', row->letter, ',', ' ', '\0' };
    snprintf(left, sizeof left, "%s--%s%s%s", row->letter ? letter : "", row->name, row->value ? " " : "",
             row->value ? row->value : "");
    printf("  %-16s %s\n", left, row->help);
}

static void print_lines(const char *lines)
{
    for (; *lines; lines += *lines == '\n') {
        size_t size = strcspn(lines, "\n");
        fputs("  ", stdout);
        fwrite(lines, 1, size, stdout);
        putchar('\n');
        lines += size;
    }
}

static void print_verbs(const struct command *command)
{
    printf("tong %s: %s\n\nusage: tong %s VERB [OPTION...] [ARGUMENT...]\n\n", command->name, command->summary,
           command->name);
    for (const struct command *const *row = command->verbs; *row; row++)
        printf("  tong %s%s%s\n      %s\n", (*row)->name, *(*row)->usage ? " " : "", (*row)->usage, (*row)->summary);
    if (command->about)
        printf("\n%s\n", command->about);
    puts("\nExample");
    print_lines(command->example);
    printf("\n'tong %s VERB --help' says all about one.\n", command->name);
}

void command_help(const struct command *command)
{
    if (command->verbs) {
        print_verbs(command);
        return;
    }
    bool optional = command->options->name && !command->leading; /* else the usage says where options go */
    printf("tong %s: %s\n\nusage: tong %s%s%s%s\n", command->name, command->summary, command->name,
           optional ? " [OPTION...]" : "", *command->usage ? " " : "", command->usage);
    if (command->about)
        printf("\n%s\n", command->about);
    puts("\nOptions");
    for (const struct option_row *row = command->options; row->name; row++)
        print_option(row);
    printf("  %-16s %s\n", "-h, --help", "show this");
    puts("\nExample");
    print_lines(command->example);
    if (command->leading)
        print_program_codes();
    else
        print_codes();
}

const char *command_word(const struct command *command)
{
    const char *blank = strrchr(command->name, ' ');
    return blank ? blank + 1 : command->name;
}

const struct command *command_find(const struct command *const *table, const char *word)
{
    for (; *table; table++)
        if (!strcmp(command_word(*table), word))
            return *table;
    return NULL;
}

static const struct command *find(const char *word)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (!strcmp(spellings[i].option, word))
            return spellings[i].command;
    return command_find(commands, word);
}

/* Follows the words to a verb, as far as they lead: *ret_used of them.  NULL: the next one is no verb. */
static const struct command *find_words(int count, char **words, int *ret_used)
{
    const struct command *command = find(words[0]);
    int used = 1;
    while (command && command->verbs && used < count && *words[used] != '-')
        command = command_find(command->verbs, words[used++]);
    *ret_used = used;
    return command;
}

/* The verb that was probably meant: within two letters of what was typed, and less than half of it; or NULL. */
static const struct command *nearest(const char *word)
{
    const struct command *best = NULL;
    size_t least = 3;
    for (const struct command *const *row = commands; *row; row++) {
        size_t distance = text_distance(word, (*row)->name);
        if ((*row)->group && distance < least && 2 * distance < strlen(word)) {
            least = distance;
            best = *row;
        }
    }
    return best;
}

static int no_verb(int used, char **words)
{
    const struct command *meant = used == 1 ? nearest(words[0]) : NULL;
    if (meant)
        return fail_usage("there is no verb '%s': did you mean '%s'?", words[0], meant->name);
    if (used == 1)
        return fail_usage("there is no verb '%s'", words[0]);
    return fail_usage("there is no verb '%s' under '%s'", words[used - 1], words[0]);
}

static int run_help(const struct command *self, int argc, char **argv)
{
    int count, r = options_read(self, argc, argv, NULL, &count);
    if (r != OPTIONS_GO)
        return r;
    int used = 0;
    const struct command *about = count ? find_words(count, argv, &used) : NULL;
    if (count && !about)
        return no_verb(used, argv);
    if (about)
        command_help(about);
    else
        print_overview();
    return CODE_DONE;
}

static int run_version(const struct command *self, int argc, char **argv)
{
    int count, r = options_read(self, argc, argv, NULL, &count);
    if (r != OPTIONS_GO)
        return r;
    printf("tong %s\n", tong_version());
    return CODE_DONE;
}

/* A verb that only has others under it can say what they are. */
static int run(const struct command *command, int argc, char **argv)
{
    if (!command->verbs)
        return command->run(command, argc, argv);
    if (argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
        command_help(command);
        return CODE_DONE;
    }
    return fail_usage("say which: %s", command->usage);
}

/* Buffered output that could not be written must not pass for success; what has failed already was told. */
static int finish_output(int code)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code)
        return code;
    return errno == EPIPE ? code : fail_system(-errno, "standard output");
}

/* Where 0, 1 or 2 is closed, the object opened next would get that number, and with it whatever is said there.
 * What takes the place cannot be read or written either (EBADF, see O_PATH in open(2)). */
static bool occupy_standard(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) < 0)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    if (!occupy_standard())
        return CODE_FAILED;
    signal(SIGCHLD, SIG_DFL); /* whoever started us may ignore it: then nobody's status could be waited for */
    if (argc < 2) {
        print_overview();
        return finish_output(CODE_USAGE);
    }
    int used;
    const struct command *command = find_words(argc - 1, argv + 1, &used);
    if (!command)
        return no_verb(used, argv + 1);
    report_verb(command->name);
    int r = tong_guard_sigbus(); /* a peer that cuts a channel short is an error to report, not our end */
    if (r < 0)
        return finish_output(fail_library(r, "SIGBUS"));
    return finish_output(run(command, argc - 1 - used, argv + 1 + used));
}
