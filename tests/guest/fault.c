// SPDX-License-Identifier: GPL-2.0
/*
 * fault [-t COMM | -d DIRECTORY] [-s STEP] [-f FIRST]
 *	[-p ACTION]... -o ACTION [-a ACTION]...
 *
 * Fails the n-th allocation of the operation -o, n = 1, 2, ..., until it ends with
 * none failed; with -s only each STEP-th, from the first on; with -f from n = FIRST on.
 * Before each, the actions -p prepare it; after it come the actions -a, with no
 * failure. What is to fail, slabs or pages, is set up before in debugfs.
 *
 * Counted are the allocations of this process or, with -t, of the thread COMM; with
 * -d, for what no thread does, those that match the filters in the debugfs directory
 * of that kind of failure.
 *
 * An action is one of
 *	load FILE [PARAMETERS]	finit_module()
 *	unload NAME		delete_module()
 *	write FILE TEXT		one write()
 *	open FILE		open() and close()
 *	read FILE		open(), read() to the end, close()
 *	map FILE		mmap() of its first page, and munmap()
 *	touch FILE		a read of the first byte of such a mapping
 *	edge IRQ [DIRECTORY]	one edge from alloclab_inject.ko, until its press is
 *				carried out by the button with these files, or for
 *				as long as that takes
 *	absent PATH		0 if it is not there, else EEXIST
 *	counters DIRECTORY	shows the button's counters: presses, allocs, frees,
 *				failures, bytes_held
 * What load, write, map and touch need open is opened beforehand, and what touch
 * needs mapped is mapped.
 * For each n it prints "site N ERROR LEFT": the operation's error, 0 for none, and
 * what is left of n; 0 says that a failure was injected. For each action -a it prints
 * "after ERROR ACTION", and before that "show TEXT" where it shows something. Lines
 * "log TEXT" follow each: what the driver has logged.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault_action.h"

#define MAX_ACTIONS	16
#define MAX_SITES	3000
#define RECORD_BYTES	8192

struct list {
	char *actions[MAX_ACTIONS];
	int count;
};

static int kmsg;

static const char *name_of(int error)
{
	return error ? strerrorname_np(error) : "0";
}

/* The kernel log: what begins with the driver's name is shown. */
static void show_log(bool show)
{
	char record[RECORD_BYTES];

	for (;;) {
		ssize_t len = read(kmsg, record, sizeof(record) - 1);
		char *text;

		if (len < 0 && errno == EPIPE) {
			puts("log lost");
			continue;
		}
		if (len <= 0)
			return;
		record[len] = '\0';
		text = strchr(record, ';');
		if (show && text && (!strncmp(text + 1, "alloclab:", 9) ||
				     !strncmp(text + 1, "alloclab ", 9) ||
				     !strncmp(text + 1, "alloclab_usb:", 13) ||
				     !strncmp(text + 1, "alloclab_usb ", 13)))
			printf("log %.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
	}
}

/* Open the file `fail-nth` of the thread that is called `comm`. */
static int fail_nth_of(const char *comm)
{
	struct dirent *entry;
	char path[300];
	int file = -1;
	DIR *proc;

	if (!comm)
		return open("/proc/thread-self/fail-nth", O_RDWR);
	proc = opendir("/proc");
	while (proc && file < 0 && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || slurp(path))
			continue;
		buffer[strcspn(buffer, "\n")] = '\0';
		if (strcmp(buffer, comm))
			continue;
		/* A single thread is its own leader. */
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", entry->d_name);
		file = open(path, O_RDWR);
	}
	if (proc)
		closedir(proc);
	return file;
}

/* Open a file of the debugfs directory of a kind of failure. */
static int open_setting(const char *directory, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, O_RDWR);
}

static void set_count(int file, const char *text)
{
	if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
		fail("count %s", text);
}

static long get_count(int file)
{
	char text[32] = "";

	/* No write has moved the position; a second read would find the end. */
	if (read(file, text, sizeof(text) - 1) <= 0)
		fail("no count");
	return strtol(text, NULL, 10);
}

struct run {
	struct list before;
	const char *operation, *comm, *directory;
	int error;
};

/*
 * Prepare and carry out the operation, its n-th allocation failed; with a directory,
 * the one that its interval says. Return what is left of the count.
 */
static long run(struct run *what, int n)
{
	struct action action;
	char text[16];
	long left;
	int file;

	for (int i = 0; i < what->before.count; i++) {
		int error = carry_out(what->before.actions[i]);

		if (error) {
			errno = error;
			fail("%s", what->before.actions[i]);
		}
	}
	show_log(false);
	if (prepare(&action, what->operation))
		fail("%s", what->operation);
	/* Each time: a thread may be another one than the last time. */
	file = what->directory ? open_setting(what->directory, "times") : fail_nth_of(what->comm);
	if (file < 0)
		fail("nothing to count with");
	snprintf(text, sizeof(text), "%d", what->directory ? 1 : n);
	set_count(file, text);
	what->error = perform(&action);
	left = get_count(file);
	set_count(file, "0");
	close(file);
	put_away(&action);
	return left;
}

/*
 * Have the n-th allocation from now on fail. The kernel fails the last one of each
 * interval, and does not say where it is in one: so one is brought to its end.
 */
static void begin_interval(struct run *what, int n)
{
	char text[16];
	int file = open_setting(what->directory, "interval");

	if (file < 0)
		fail("no interval");
	snprintf(text, sizeof(text), "%d", n);
	set_count(file, text);
	close(file);
	/* Each time it comes nearer, or there is nothing that allocates. */
	for (int i = 0; n > 1 && i < n && run(what, n); i++)
		;
}

int main(int argc, char **argv)
{
	struct run what = { 0 };
	struct list after = { 0 };
	int option, error, n = 1, step = 1;
	long left = 0;

	while ((option = getopt(argc, argv, "t:d:s:f:p:o:a:")) != -1) {
		struct list *list = option == 'p' ? &what.before : &after;

		if (option == 't')
			what.comm = optarg;
		else if (option == 'd')
			what.directory = optarg;
		else if (option == 's')
			step = atoi(optarg);
		else if (option == 'f')
			n = atoi(optarg);
		else if (option == 'o')
			what.operation = optarg;
		else if (option != '?' && list->count < MAX_ACTIONS)
			list->actions[list->count++] = optarg;
		else
			return 255;
	}
	if (!what.operation || step < 1 || n < 1)
		return 255;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		fail("/dev/kmsg");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("mlockall");

	for (; !left && n <= MAX_SITES; n += step) {
		if (what.directory)
			begin_interval(&what, n);
		left = run(&what, n);
		printf("site %d %s %ld\n", n, name_of(what.error), left);
		show_log(true);
		for (int i = 0; i < after.count; i++) {
			error = carry_out(after.actions[i]);
			printf("after %s %s\n", name_of(error), after.actions[i]);
			show_log(true);
		}
		fflush(stdout);
	}
	return left ? 0 : 1;
}
