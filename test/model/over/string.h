/* SPDX-License-Identifier: MIT */
/* Payload goes through the model, which finds who writes while another reads. */
#ifndef MODEL_STRING_H
#define MODEL_STRING_H

#include_next <string.h>

#include "access.h"

#undef memcpy
#define memcpy(to, from, size) model_copy((to), (from), (size))

#endif
