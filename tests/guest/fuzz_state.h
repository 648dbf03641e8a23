/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a button is thought to be, and what its files say of it.
 */
#ifndef FUZZ_STATE_H
#define FUZZ_STATE_H

#include <fcntl.h>
#include <unistd.h>

#include "fuzz_model.h"

extern const char *directory;
extern int files[NR_FILES];
extern struct settings now;
extern struct text saved[NR_FILES];
extern unsigned long long presses;
int open_file(enum file file, int flags);
void content(enum file file, struct text *text);
void same(enum file file, const struct text *got, const struct text *wanted);

/* A setting must be what it is thought to be. */
void compare_setting(enum file file);

/* Pages, stats and live must be what they were, but for what settings change. */
void compare_others(bool settings_changed);
unsigned long long counter(const char *key);

/* Notes pages, stats and live; the counters must balance. */
void save_others(void);
void must_set(enum file file, const char *word);
void reset(void);
void learn_all(void);

#endif
