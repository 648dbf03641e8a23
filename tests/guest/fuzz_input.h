/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input for the fuzzers: random numbers that a seed determines, texts, mutations, the seeds file.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
/* The longest text, in bytes. */
#define TEXT_MAX	65536
/* How much of a text a message shows. */
#define SHOWN_MAX	200
#define SEEDS_MAX	512
#define SEED_MAX	512

struct text {
	size_t len;
	char bytes[TEXT_MAX + 1];
};

struct seed {
	char file[16];
	char result[16];
	size_t len;
	char bytes[SEED_MAX];
};

extern struct seed seeds[SEEDS_MAX];
extern size_t nr_seeds;
extern unsigned long random_state;

/* 0 to limit - 1 */
unsigned long below(unsigned long limit);
bool one_in(unsigned long times);

/* What the fuzzer was doing: shown when something is wrong. */
extern const char *doing;
extern const char *doing_file;
extern struct text input;

noreturn void wrong(const char *format, ...);
void clear(struct text *text);
void add(struct text *text, const char *bytes, size_t len);
void add_word(struct text *text, const char *word);
void add_fill(struct text *text, char byte, size_t len);

/* Numbers at which something changes, and some between. */
unsigned long odd_number(void);

/* A number in some notation, the usual one most often. */
void add_number(struct text *text, unsigned long number);

/* Changes a few bytes. */
void mutate(struct text *text);

/* A text that has nothing to do with anything. */
void add_garbage(struct text *text);

/* Reads lines of FILE RESULT TEXT; the text is one escaped word, or "-" for an empty one. */
void read_seeds(const char *path);

#endif
