/* SPDX-License-Identifier: MIT */
#ifndef TEST_CONTRACT_HEIR_H
#define TEST_CONTRACT_HEIR_H

/* Opens `address` and sends, or receives ("send", "receive"), the one word that the test expects. */
int heir_main(const char *address, const char *task);

#endif
