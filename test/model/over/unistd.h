/* SPDX-License-Identifier: MIT */
/* Each simulated process has a number of its own. */
#ifndef MODEL_UNISTD_H
#define MODEL_UNISTD_H

#include_next <unistd.h>

pid_t model_getpid(void);
#define getpid() model_getpid()

#endif
