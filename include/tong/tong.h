/* SPDX-License-Identifier: MIT */
/* tong/tong.h - every way two processes can talk, behind one interface.  Includes the rest; see tong(3). */
#ifndef TONG_TONG_H
#define TONG_TONG_H

#include <tong/base.h>
#include <tong/channel.h>
#include <tong/inspect.h>
#include <tong/listener.h>
#include <tong/lock.h>
#include <tong/mechanism.h>
#include <tong/region.h>
#include <tong/semaphore.h>
#include <tong/signal.h>
#include <tong/trace.h>
#include <tong/wait.h>

#endif
