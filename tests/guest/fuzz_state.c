// SPDX-License-Identifier: GPL-2.0
#include "fuzz_state.h"

const char *directory;
int files[NR_FILES];
struct settings now;
struct text saved[NR_FILES];
unsigned long long presses;

int open_file(enum file file, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file_names[file]);
	fd = open(path, flags);
	if (fd < 0)
		wrong("open: %m");
	return fd;
}

void content(enum file file, struct text *text)
{
	ssize_t len = pread(files[file], text->bytes, TEXT_MAX, 0);

	/* What is not made of pages has none. */
	if (len < 0 || (!len && file != PAGES))
		wrong("%s cannot be read: %zd, %m", file_names[file], len);
	text->len = len;
	text->bytes[len] = 0;
}

/* Takes out the line that begins so. */
static void without(struct text *text, const char *key)
{
	char *line = strstr(text->bytes, key);
	char *end = line ? strchr(line, '\n') + 1 : NULL;

	if (!line)
		return;
	memmove(line, end, text->bytes + text->len + 1 - end);
	text->len -= end - line;
}

void same(enum file file, const struct text *got, const struct text *wanted)
{
	if (got->len != wanted->len || memcmp(got->bytes, wanted->bytes, got->len))
		wrong("%s is\n%.*s, was\n%.*s", file_names[file], (int)got->len, got->bytes,
		      (int)wanted->len, wanted->bytes);
}

void compare_setting(enum file file)
{
	static struct text got, wanted;

	content(file, &got);
	expect(file, &now, &wanted);
	same(file, &got, &wanted);
}

void compare_others(bool settings_changed)
{
	static struct text got, unchanged;

	for (enum file file = LIVE; file < NR_FILES; file++) {
		content(file, &got);
		without(&got, "age_ns: ");
		unchanged = got;
		if (settings_changed && file == STATS) {
			/* The cycle may pass over other methods now. */
			without(&saved[file], "next: ");
			without(&unchanged, "next: ");
		}
		same(file, &unchanged, &saved[file]);
		saved[file] = got;
	}
}

unsigned long long counter(const char *key)
{
	char *line = strstr(saved[STATS].bytes, key);

	if (!line)
		wrong("%s is not in stats", key);
	return strtoull(line + strlen(key), NULL, 10);
}

void save_others(void)
{
	unsigned long long allocs, frees;
	bool holding;

	for (enum file file = LIVE; file < NR_FILES; file++) {
		content(file, &saved[file]);
		without(&saved[file], "age_ns: ");
	}
	allocs = counter("\nallocs: ");
	frees = counter("\nfrees: ");
	holding = allocs != frees;
	if (counter("\npresses: ") != presses ||
	    allocs + frees + counter("\nfailures: ") != presses || allocs - frees > 1 ||
	    holding != !!counter("\nbytes_held: ") ||
	    holding != !!strcmp(saved[LIVE].bytes, "none\n") ||
	    holding != !!strcmp(saved[PAGES].bytes, "none\n"))
		wrong("after %llu presses stats and live are\n%s%s", presses, saved[STATS].bytes,
		      saved[LIVE].bytes);
}

/* Writes a word outside of the counting; returns the error. */
static int set(enum file file, const char *word)
{
	return write(files[file], word, strlen(word)) < 0 ? errno : 0;
}

void must_set(enum file file, const char *word)
{
	int error = set(file, word);

	if (error)
		wrong("%s is refused to %s: %s", word, file_names[file], strerror(error));
}

void reset(void)
{
	must_set(CONTEXT, "thread");
	must_set(GFP, "kernel");
	must_set(SIZE, "default");
	must_set(METHOD, "cycle");
	now = defaults;
}

static bool takes(const char *base, const char *modifier, const char *size)
{
	char gfp[64];
	int error;

	snprintf(gfp, sizeof(gfp), "%s%s", base, modifier);
	error = set(GFP, gfp) ?: set(SIZE, size);
	must_set(GFP, "kernel");
	must_set(SIZE, "default");
	if (error && error != EINVAL && error != E2BIG)
		wrong("%s is refused with %s", gfp, strerror(error));
	return !error;
}

/* Asks what a method takes, a word at a time. */
static void learn(struct method *method)
{
	char text[32];

	must_set(METHOD, method->name);
	for (int bit = 62; bit >= 0; bit--) {
		snprintf(text, sizeof(text), "%llu",
			 (unsigned long long)(method->largest | 1ULL << bit));
		if (!set(SIZE, text))
			method->largest |= 1ULL << bit;
	}
	must_set(SIZE, "default");
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		method->bases |= takes(bases[i], "", "default") << i;
	for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++) {
		snprintf(text, sizeof(text), "+%s", modifiers[i]);
		method->modifiers |= takes("kernel", text, "default") << i;
	}
	method->nofail_bytes = ULONG_MAX;
	for (unsigned long bytes = 2 * PAGE_BYTES; bytes >= PAGE_BYTES / 2; bytes /= 4) {
		snprintf(text, sizeof(text), "%lu", bytes + 1);
		if (!takes("kernel", "+nofail", text))
			method->nofail_bytes = bytes;
	}
	if (method->bases & BIT(ATOMIC)) {
		must_set(GFP, "atomic");
		method->hard = !set(CONTEXT, "hard");
		must_set(CONTEXT, "thread");
		must_set(GFP, "kernel");
	}
	/* The default size is what it allocates. */
	must_set(PRESS, "1");
	content(STATS, &saved[STATS]);
	method->default_size = counter("\nbytes_held: ");
	must_set(PRESS, "1");
	presses += 2;
	printf("%s: %llu of %llu bytes, bases %x, modifiers %x, nofail %lx%s\n", method->name,
	       (unsigned long long)method->default_size, (unsigned long long)method->largest,
	       method->bases, method->modifiers, method->nofail_bytes,
	       method->hard ? ", hard" : "");
}

void learn_all(void)
{
	static struct text text;
	char *word;

	content(STATS, &saved[STATS]);
	presses = counter("\npresses: ");
	reset();
	content(METHOD, &text);
	text.bytes[text.len - 1] = 0;
	for (word = strtok(text.bytes, " "); word; word = strtok(NULL, " "))
		if (strcmp(word, "[cycle]") && nr_methods < METHODS_MAX)
			snprintf(methods[nr_methods++].name, sizeof(methods->name), "%s", word);
	for (int i = 0; i < nr_methods; i++)
		learn(&methods[i]);
	reset();
	save_others();
}
