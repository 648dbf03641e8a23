/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What has to come of a write to a button's file: an oracle that shares nothing with the driver.
 *
 * Syntax, errors and the rules on flags are written down here, after doc/debugfs.md and
 * doc/methods.md. What each method takes by itself is asked of the driver word by word (fuzz.c does
 * that before it begins), so that a new method needs nothing here; every combination of words is
 * then predicted.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <errno.h>
#include <limits.h>

#include "fuzz_input.h"

#define TEXT_BYTES	128
#define PRESSES_MAX	1000000
#define PAGE_BYTES	4096
#define METHODS_MAX	32

enum file { METHOD, SIZE, GFP, CONTEXT, SETTINGS, PRESS, LIVE, PAGES, STATS, NR_FILES };

extern const char *const file_names[NR_FILES];

/* The files of one setting each come first, then that of all. */
#define NR_SINGLE	SETTINGS
#define NR_SETTINGS	PRESS

#define NR_BASES	9
#define NR_MODIFIERS	9

extern const char *const bases[NR_BASES];
extern const char *const modifiers[NR_MODIFIERS];

/* Their places there; all bases but the second and the third let an allocation sleep. */
enum { KERNEL, ATOMIC, NOWAIT };
enum { NORETRY = 2, RETRY_MAYFAIL, NOFAIL };

#define BIT(number)	(1U << (number))

/* What a method takes by itself. */
struct method {
	char name[32];
	unsigned long default_size, largest;
	unsigned int bases, modifiers;
	/* The largest size with nofail. */
	unsigned long nofail_bytes;
	bool hard;
};

extern struct method methods[METHODS_MAX];
extern int nr_methods;

#define CYCLE	(-1)

struct settings {
	int method;
	bool sized;
	unsigned long size;
	unsigned int base, modifiers, context;
};

extern const struct settings defaults;

int find_word(const char *text, size_t len, const char *const *words, size_t nr);

/*
 * What has to come of writing a text to a file: 0 or the error. If it is 0, `now` becomes what
 * holds then, and `presses` how many presses it was.
 */
int judge(enum file file, const char *text, size_t len, struct settings *now,
	  unsigned long *presses);

/* What the file of a setting has to show. */
void expect(enum file file, const struct settings *now, struct text *text);

/* A text that a file might take, or would if the settings were others. */
void add_valid(struct text *text, enum file file);

#endif
