// SPDX-License-Identifier: GPL-2.0
/*
 * device FILE STEP...: takes the steps one after the other, and prints a line for each that is not
 * what it does to the next: `0`, a number, bytes, or the name of an error or of a signal.
 *
 * A step is a word and its arguments, with commas between. F is the number of a file, M that of a
 * mapping, both from 0 on in the order in which they were made.
 *	open[,r|w]		opens FILE, else to read and write
 *	close,F
 *	read,F,AT,LEN		the bytes that pread() got, at most 16 of them; at the end none
 *	write,F,AT,HEX		how many bytes pwrite() took
 *	put,F,LEN,SEED		writes LEN bytes of a pattern
 *	same,F,LEN,SEED		whether so many bytes are read, and are that
 *	map,F,FIRST,PAGES[,private][,exec][,r]
 *	unmap,M,FIRST,PAGES
 *	remap,M,PAGES		mremap(), which may move it
 *	protect,M,r|rw|rx
 *	get,M,AT		a byte, in hexadecimal
 *	set,M,AT,HEX		sets a byte
 *	fill,M,LEN,SEED		fills LEN bytes with a pattern
 *	check,M,LEN,SEED	whether LEN bytes are that
 *	all,M,FROM,TO,HEX	whether all these bytes are that byte
 *	fork			what follows until `join` is the child's to do
 *	join			waits for it
 *	sh,COMMAND		a command of the shell
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FILES	16
#define MAX_MAPPINGS	128
#define SHOWN		16

struct mapping {
	unsigned char *bytes;
	size_t pages;
};

static int files[MAX_FILES];
static struct mapping mappings[MAX_MAPPINGS];
static int nr_files, nr_mappings;
static const char *path;
static size_t page_bytes;
static sigjmp_buf before;

static void caught(int signal)
{
	siglongjmp(before, signal);
}

/* One access each, which the compiler leaves as it is: each may be the one that faults. */
static unsigned char load(const unsigned char *byte)
{
	return __atomic_load_n(byte, __ATOMIC_RELAXED);
}

static void store(unsigned char *byte, unsigned char value)
{
	__atomic_store_n(byte, value, __ATOMIC_RELAXED);
}

static void die(const char *step)
{
	printf("%s: not a step\n", step);
	exit(2);
}

static unsigned char pattern(size_t at, unsigned long seed)
{
	return at ^ (at >> 8) ^ (at >> 16) ^ seed;
}

static void say(long result)
{
	if (result < 0)
		puts(strerrorname_np(errno));
	else
		printf("%ld\n", result);
}

/* The arguments of a step, which have to be there. */
static struct {
	char *rest;
	const char *step;
} arguments;

static const char *word(void)
{
	const char *word = strsep(&arguments.rest, ",");

	if (!word)
		die(arguments.step);
	return word;
}

static unsigned long number(int base)
{
	char *end;
	unsigned long value = strtoul(word(), &end, base);

	if (*end)
		die(arguments.step);
	return value;
}

static int file(void)
{
	unsigned long place = number(10);

	if (place >= (unsigned long)nr_files)
		die(arguments.step);
	return files[place];
}

static struct mapping *mapping(void)
{
	unsigned long place = number(10);

	if (place >= (unsigned long)nr_mappings)
		die(arguments.step);
	return &mappings[place];
}

static void step_open(void)
{
	const char *how = arguments.rest ? word() : "";
	int fd = open(path, *how == 'r' ? O_RDONLY : *how == 'w' ? O_WRONLY : O_RDWR);

	say(fd < 0 ? fd : 0);
	if (fd >= 0 && nr_files < MAX_FILES)
		files[nr_files++] = fd;
}

static void step_close(void)
{
	say(close(file()));
}

static void step_read(void)
{
	int fd = file();
	off_t at = number(10);
	size_t len = number(10);
	unsigned char *bytes = malloc(len + 1);
	ssize_t got = pread(fd, bytes, len, at);

	if (got < 0) {
		say(got);
	} else {
		for (ssize_t i = 0; i < got && i < SHOWN; i++)
			printf("%02x", bytes[i]);
		puts("");
	}
	free(bytes);
}

static void step_write(void)
{
	int fd = file();
	off_t at = number(10);
	const char *hex = word();
	unsigned char bytes[SHOWN];
	size_t len = 0;

	for (; hex[0] && hex[1] && len < SHOWN; hex += 2, len++) {
		unsigned int byte;

		if (sscanf(hex, "%2x", &byte) != 1)
			die(arguments.step);
		bytes[len] = byte;
	}
	say(pwrite(fd, bytes, len, at));
}

static void step_put(void)
{
	int fd = file();
	size_t len = number(10);
	unsigned long seed = number(10);
	unsigned char *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(i, seed);
	say(pwrite(fd, bytes, len, 0));
	free(bytes);
}

static void say_same(const unsigned char *bytes, size_t len, unsigned long seed)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = load(bytes + i);

		if (byte != pattern(i, seed)) {
			printf("byte %zu is %02x, not %02x\n", i, byte, pattern(i, seed));
			return;
		}
	}
	puts("same");
}

static void step_same(void)
{
	int fd = file();
	size_t len = number(10);
	unsigned long seed = number(10);
	unsigned char *bytes = malloc(len + 1);
	/* One more than there is. */
	ssize_t got = pread(fd, bytes, len + 1, 0);

	if (got != (ssize_t)len)
		say(got);
	else
		say_same(bytes, len, seed);
	free(bytes);
}

static void step_map(void)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED;
	int fd = file();
	off_t first = number(10);
	size_t pages = number(10);
	void *bytes;

	while (arguments.rest) {
		const char *how = word();

		if (!strcmp(how, "private"))
			flags = MAP_PRIVATE;
		else if (!strcmp(how, "exec"))
			prot |= PROT_EXEC;
		else if (!strcmp(how, "r"))
			prot &= ~PROT_WRITE;
		else
			die(arguments.step);
	}
	bytes = mmap(NULL, pages * page_bytes, prot, flags, fd, first * page_bytes);
	say(bytes == MAP_FAILED ? -1 : 0);
	if (bytes != MAP_FAILED && nr_mappings < MAX_MAPPINGS)
		mappings[nr_mappings++] = (struct mapping){ bytes, pages };
}

static void step_unmap(void)
{
	struct mapping *of = mapping();
	size_t first = number(10);

	say(munmap(of->bytes + first * page_bytes, number(10) * page_bytes));
}

static void step_remap(void)
{
	struct mapping *of = mapping();
	size_t pages = number(10);
	void *bytes = mremap(of->bytes, of->pages * page_bytes, pages * page_bytes,
			     MREMAP_MAYMOVE);

	say(bytes == MAP_FAILED ? -1 : 0);
	if (bytes != MAP_FAILED)
		*of = (struct mapping){ bytes, pages };
}

static void step_protect(void)
{
	struct mapping *of = mapping();
	const char *how = word();
	int prot = PROT_READ;

	prot |= strchr(how, 'w') ? PROT_WRITE : 0;
	prot |= strchr(how, 'x') ? PROT_EXEC : 0;
	say(mprotect(of->bytes, of->pages * page_bytes, prot));
}

static void step_all(void)
{
	unsigned char *bytes = mapping()->bytes;
	size_t from = number(10), to = number(10);
	unsigned char wanted = number(16);

	for (size_t i = from; i < to; i++) {
		unsigned char byte = load(bytes + i);

		if (byte != wanted) {
			printf("byte %zu is %02x\n", i, byte);
			return;
		}
	}
	puts("all");
}

static void step_touch(void)
{
	const char *name = arguments.step;
	unsigned char *bytes = mapping()->bytes;
	size_t at = number(10);
	unsigned long seed;

	if (!strcmp(name, "get")) {
		unsigned char byte = load(bytes + at);

		printf("%02x\n", byte);
	} else if (!strcmp(name, "set")) {
		store(bytes + at, number(16));
		puts("0");
	} else if (!strcmp(name, "fill")) {
		seed = number(10);
		for (size_t i = 0; i < at; i++)
			store(bytes + i, pattern(i, seed));
		puts("0");
	} else {
		say_same(bytes, at, number(10));
	}
}

static void step_sh(void)
{
	int status;

	fflush(stdout);
	status = system(arguments.rest ?: "");
	printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static const struct {
	const char *name;
	void (*take)(void);
} steps[] = {
	{ "open", step_open },
	{ "close", step_close },
	{ "read", step_read },
	{ "write", step_write },
	{ "put", step_put },
	{ "same", step_same },
	{ "map", step_map },
	{ "unmap", step_unmap },
	{ "remap", step_remap },
	{ "protect", step_protect },
	{ "all", step_all },
	{ "sh", step_sh },
	{ "get", step_touch },
	{ "set", step_touch },
	{ "fill", step_touch },
	{ "check", step_touch },
	{ NULL, NULL }
};

static void take(char *step)
{
	size_t i = 0;
	int signal;

	arguments.rest = step;
	arguments.step = strsep(&arguments.rest, ",");
	while (steps[i].name && strcmp(arguments.step, steps[i].name))
		i++;
	if (!steps[i].name)
		die(arguments.step);

	signal = sigsetjmp(before, 1);
	if (signal)
		printf("SIG%s\n", sigabbrev_np(signal));
	else
		steps[i].take();
	fflush(stdout);
}

int main(int argc, char **argv)
{
	pid_t child = -1;

	if (argc < 2)
		return 2;
	path = argv[1];
	page_bytes = sysconf(_SC_PAGESIZE);
	signal(SIGBUS, caught);
	signal(SIGSEGV, caught);
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "fork")) {
			child = fork();
			if (child < 0)
				return 2;
		} else if (!strcmp(argv[i], "join")) {
			if (!child)
				return 0;
			waitpid(child, NULL, 0);
			child = -1;
		} else if (child <= 0) {
			take(argv[i]);
		}
	}
	return 0;
}
