/* SPDX-License-Identifier: MIT */
/* directory.h - a directory of our own for names that last as long as the verb. */
#ifndef TOOL_DIRECTORY_H
#define TOOL_DIRECTORY_H

#define DIRECTORY_MAX 128

/* Makes one of mode 0700 in TMPDIR, or in /tmp where that is not set or too long: 0 or a negative errno, and then "".
 * `word` says whose it is. */
int directory_make(const char *word, char ret[DIRECTORY_MAX]);

/* With whatever is in it: files only, for nobody else could put anything there.  "": nothing. */
void directory_remove(const char *directory);

#endif
