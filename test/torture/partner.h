/* SPDX-License-Identifier: MIT */
/* partner.h - the processes that send or receive on the same channel while the victim is stepped, and go on after it. */
#ifndef TORTURE_PARTNER_H
#define TORTURE_PARTNER_H

#include "operation.h"

/* Receives until the last message of all and the end behind it: enters messages and ends. */
void partner_receive(const struct scene *scene, unsigned view) __attribute__((noreturn));

/* Sends as `sender` until it is told to stop. */
void partner_send(const struct scene *scene, unsigned sender) __attribute__((noreturn));

#endif
