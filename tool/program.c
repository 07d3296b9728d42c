/* SPDX-License-Identifier: MIT */
/* Programs that a verb runs. */
#include "program.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

int program_execute(char **argv)
{
    execvp(argv[0], argv);
    int error = errno;
    say("cannot run '%s': %s", argv[0], strerror(error));
    return error == ENOENT ? CODE_NO_COMMAND : CODE_NOT_EXECUTABLE;
}

int program_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) {
            fail_system(-errno, "waitpid");
            return CODE_OWN_FAILURE;
        }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
