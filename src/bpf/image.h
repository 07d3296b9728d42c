/* SPDX-License-Identifier: MIT */
/* image.h - the images that scripts/bpf.py makes. */
#ifndef BPF_IMAGE_H
#define BPF_IMAGE_H

#include "bpf/programs.h"

extern const struct bpf_image look_image;
extern const struct bpf_image trace_image;

#endif
