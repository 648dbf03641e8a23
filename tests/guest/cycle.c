// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and unloads the module, or binds and unbinds its devices, again and again, while readers
 * open and read every file of the devices.
 *
 * cycle load|bind CYCLES READERS STORMED DEVICE...
 *
 * STORMED is the device to which edges come all the time, or `-`: in each cycle it must have got
 * one. In each cycle something is held when it ends. A reader's text must be whole, or its error
 * must say that the file is gone. Unbind happens with all files open, and must not wait for that;
 * an unload is tried again for as long as a reader has a file open.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODULE "/root/alloclab.ko"
#define FILES "/sys/kernel/debug/alloclab"
#define DRIVER "/sys/bus/platform/drivers/alloclab"
#define PATH_BYTES 256
#define TEXT_BYTES 65536
#define PRESSES "3"
/* An unload that is refused for so long is never carried out. */
#define REFUSED_US 30000000
/* A storm that brings no edge for so long is none. */
#define EDGE_US 30000000

/* How a file's text begins, and how its last line does. */
static const struct file {
	const char *name, *first, *last;
	/* What else it may say. */
	const char *none;
	/* A list has no pages. */
	int may_be_empty;
} files[] = {
	{ "method", "", "" },
	{ "size", "default\n", "" },
	{ "gfp", "", "" },
	{ "context", "", "" },
	{ "live", "label: ", "press: ", "none\n" },
	{ "pages", "0 ", "", "none\n", 1 },
	{ "stats", "label: ", "list: allocs=" },
};

#define NR_FILES (sizeof(files) / sizeof(*files))

static const char *stormed;
static char **devices;
static int nr_devices;
static atomic_long texts, gone;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

static long us_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int open_file(const char *device, const char *name, int flags)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), FILES "/%s/%s", device, name);
	return open(path, flags);
}

/* Whether a text is all that its file has to say. */
static int is_whole(const struct file *file, const char *text, size_t len)
{
	const char *last;

	if ((file->none && !strcmp(text, file->none)) || (file->may_be_empty && !len))
		return 1;
	if (!len || strlen(text) != len || text[len - 1] != '\n')
		return 0;
	last = memrchr(text, '\n', len - 1);
	last = last ? last + 1 : text;
	return !strncmp(text, file->first, strlen(file->first)) &&
	       !strncmp(last, file->last, strlen(file->last));
}

/* Reads one file, which may be gone at any step. */
static void read_file(const char *device, const struct file *file, char *text)
{
	int fd = open_file(device, file->name, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);

	if (len >= 0) {
		text[len] = 0;
		if (!is_whole(file, text, len)) {
			fprintf(stderr, "%s/%s is not whole: %s", device, file->name, text);
			exit(1);
		}
		texts++;
	} else if (errno == ENOENT || errno == ENODEV || errno == EIO ||
		   (fd < 0 && errno == ENXIO)) {
		/* ENXIO is the answer to an open while the module's init or exit runs. */
		gone++;
	} else {
		die(fd < 0 ? "open" : "read", file->name);
	}
	if (fd >= 0)
		close(fd);
}

static void *reader(void *number)
{
	unsigned long next = (unsigned long)number;
	char *text = malloc(TEXT_BYTES);

	if (!text)
		die("reader", "memory");
	for (;; next++) {
		read_file(devices[next / NR_FILES % nr_devices], &files[next % NR_FILES], text);
		/* So that a file is not always open. */
		if (next % NR_FILES == 0)
			usleep(500);
	}
	return NULL;
}

static long value(const char *stats, const char *name)
{
	const char *line = strstr(stats, name);

	if (!line)
		die("stats", name);
	return atol(line + strlen(name));
}

static void read_stats(const char *device, char *text)
{
	int fd = open_file(device, "stats", O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);

	if (len <= 0)
		die("stats", device);
	close(fd);
	text[len] = 0;
}

/* Presses by the file `press`, and checks the counters against each other. */
static void use(const char *device, char *text)
{
	long presses, allocs, frees, failures;
	int fd = open_file(device, "press", O_WRONLY);
	long begin = us_now();

	if (fd < 0 || write(fd, PRESSES, strlen(PRESSES)) < 0)
		die("press", device);
	close(fd);
	read_stats(device, text);
	while (!strcmp(device, stormed) && !value(text, "\nedges: ")) {
		if (us_now() - begin > EDGE_US)
			die("no edges", device);
		read_stats(device, text);
	}

	presses = value(text, "\npresses: ");
	allocs = value(text, "\nallocs: ");
	frees = value(text, "\nfrees: ");
	failures = value(text, "\nfailures: ");
	if (allocs + frees + failures != presses || failures ||
	    allocs - frees != (value(text, "\nbytes_held: ") > 0)) {
		fprintf(stderr, "%s", text);
		exit(1);
	}
}

static int is_loaded(void)
{
	return !access("/sys/module/alloclab", F_OK);
}

/* Unloads, again and again while a reader is in the way; returns how often it was refused. */
static long unload(void)
{
	long begin = us_now(), refused = 0;

	while (syscall(SYS_delete_module, "alloclab", O_NONBLOCK)) {
		if (errno != EWOULDBLOCK && errno != EBUSY)
			die("unload", "alloclab");
		if (us_now() - begin > REFUSED_US)
			die("unload", "always refused");
		refused++;
		usleep(100);
	}
	return refused;
}

static void load(void)
{
	int fd = open(MODULE, O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die("load", MODULE);
	close(fd);
}

/* Writes a device's name to the driver's file; returns how long that took, in microseconds. */
static long tell(const char *file, const char *device)
{
	char path[PATH_BYTES];
	long begin = us_now();
	int fd;

	snprintf(path, sizeof(path), DRIVER "/%s", file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, device, strlen(device)) < 0)
		die(file, device);
	close(fd);
	return us_now() - begin;
}

/* Unbinds a device while all its files are open; returns how long that took. */
static long unbind_open(const char *device, char *text)
{
	int fds[NR_FILES];
	long us;

	for (size_t i = 0; i < NR_FILES; i++) {
		fds[i] = open_file(device, files[i].name, O_RDONLY);
		/* One that is at the middle of its text. */
		if (fds[i] < 0)
			die("open", files[i].name);
		if (i % 2 && read(fds[i], text, 1) != 1 && !files[i].may_be_empty)
			die("read", files[i].name);
	}
	us = tell("unbind", device);
	for (size_t i = 0; i < NR_FILES; i++) {
		if (read(fds[i], text, TEXT_BYTES) != -1 || errno != EIO)
			die("read after unbind", files[i].name);
		close(fds[i]);
	}
	return us;
}

int main(int argc, char **argv)
{
	long cycles, readers, slowest = 0, refused = 0;
	static char text[TEXT_BYTES];
	int loads;

	if (argc < 6)
		die("usage:", "cycle load|bind CYCLES READERS STORMED DEVICE...");
	loads = !strcmp(argv[1], "load");
	cycles = atol(argv[2]);
	readers = atol(argv[3]);
	stormed = argv[4];
	devices = &argv[5];
	nr_devices = argc - 5;
	if (loads == is_loaded())
		die("loaded:", loads ? "already" : "not yet");

	for (long number = 0; number < readers; number++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, reader, (void *)number))
			die("reader", "thread");
	}

	for (long cycle = 0; cycle < cycles; cycle++) {
		if (loads)
			load();
		for (int i = 0; i < nr_devices; i++) {
			long us;

			use(devices[i], text);
			if (loads)
				continue;
			us = unbind_open(devices[i], text);
			if (us > slowest)
				slowest = us;
			tell("bind", devices[i]);
		}
		if (loads)
			refused += unload();
	}
	printf("cycles %ld texts %ld gone %ld refused %ld slowest_us %ld\n", cycles, texts, gone,
	       refused, slowest);
	return 0;
}
