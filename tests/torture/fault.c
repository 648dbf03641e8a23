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
 *	edge IRQ [DIRECTORY]	one edge from alloclab_inject.ko, until its press is
 *				carried out by the button with these files, or for
 *				as long as that takes
 *	absent PATH		0 if it is not there, else EEXIST
 *	counters DIRECTORY	shows the button's counters: presses, allocs, frees,
 *				failures, bytes_held
 * What load and write need open is opened beforehand.
 * For each n it prints "site N ERROR LEFT": the operation's error, 0 for none, and
 * what is left of n; 0 says that a failure was injected. For each action -a it prints
 * "after ERROR ACTION", and before that "show TEXT" where it shows something. Lines
 * "log TEXT" follow each: what the driver has logged.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_ACTIONS	16
#define MAX_SITES	3000
#define BUFFER_BYTES	1048576
#define RECORD_BYTES	8192
#define EDGE_POLLS	500
#define POLL_NS		10000000
#define SETTLE_NS	200000000

struct list {
	char *actions[MAX_ACTIONS];
	int count;
};

/* Locked, like all that the operation touches: a page fault would allocate. */
static char buffer[BUFFER_BYTES];
static int kmsg;

static noreturn void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(": %s\n", strerror(errno));
	exit(1);
}

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
				     !strncmp(text + 1, "alloclab ", 9)))
			printf("log %.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
	}
}

/* Read a file from the beginning into the buffer; return an error. */
static int slurp(const char *path)
{
	int file = open(path, O_RDONLY), error = 0;
	size_t have = 0;
	ssize_t len;

	if (file < 0)
		return errno;
	do {
		len = read(file, buffer + have, sizeof(buffer) - 1 - have);
		if (len > 0)
			have += len;
	} while (len > 0 && have < sizeof(buffer) - 1);
	if (len < 0)
		error = errno;
	close(file);
	buffer[have] = '\0';
	return error;
}

static int load(int file, const char *parameters)
{
	return syscall(SYS_finit_module, file, parameters, 0) ? errno : 0;
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? errno : 0;
}

static int write_text(int file, const char *text)
{
	size_t len = strlen(text);

	/* Less than all, which is no error, is one here. */
	return write(file, text, len) != (ssize_t)len ? errno ?: EIO : 0;
}

static int open_only(const char *path)
{
	int file = open(path, O_RDONLY);

	if (file < 0)
		return errno;
	close(file);
	return 0;
}

/* The button's counters `names`, of which one that cannot be read is -1. */
static void counters(const char *directory, const char * const *names, long *values, int count)
{
	char path[256];
	int error;

	snprintf(path, sizeof(path), "%s/stats", directory);
	error = slurp(path);
	for (int i = 0; i < count; i++) {
		char *at = error ? NULL : strstr(buffer, names[i]);

		values[i] = at ? strtol(at + strlen(names[i]), NULL, 10) : -1;
	}
}

static int show_counters(const char *directory)
{
	static const char * const names[] = {
		"\npresses: ", "\nallocs: ", "\nfrees: ", "\nfailures: ", "\nbytes_held: "
	};
	long values[5];

	counters(directory, names, values, 5);
	printf("show");
	for (int i = 0; i < 5; i++)
		printf(" %ld", values[i]);
	puts("");
	return 0;
}

static long presses(const char *directory)
{
	static const char * const name = "\npresses: ";
	long value;

	counters(directory, &name, &value, 1);
	return value;
}

static int edge(const char *irq, const char *directory)
{
	struct timespec pause = { .tv_nsec = *directory ? POLL_NS : SETTLE_NS };
	long before = *directory ? presses(directory) : 0;
	char parameters[64];
	int file, error;

	snprintf(parameters, sizeof(parameters), "irq=%s count=1", irq);
	file = open("/root/alloclab_inject.ko", O_RDONLY);
	error = file < 0 ? errno : load(file, parameters);
	close(file);
	if (error)
		return error;
	nanosleep(&pause, NULL);
	for (int i = 0; i < EDGE_POLLS && *directory && presses(directory) == before; i++)
		nanosleep(&pause, NULL);
	error = unload("alloclab_inject");
	if (error || !*directory)
		return error;
	return presses(directory) == before + 1 ? 0 : ETIME;
}

struct action {
	char text[512], *verb, *path, *rest;
	int file;
};

/* Take an action apart, and open beforehand what it needs open; return an error. */
static int prepare(struct action *action, const char *text)
{
	char *rest = action->text;

	snprintf(action->text, sizeof(action->text), "%s", text);
	action->verb = strsep(&rest, " ");
	action->path = rest ? strsep(&rest, " ") : "";
	action->rest = rest ?: "";
	action->file = -1;

	if (!strcmp(action->verb, "load"))
		action->file = open(action->path, O_RDONLY);
	else if (!strcmp(action->verb, "write"))
		action->file = open(action->path, O_WRONLY);
	else
		return 0;
	return action->file < 0 ? errno : 0;
}

/* Carry out an action that was prepared; return its error. */
static int perform(const struct action *action)
{
	const char *verb = action->verb, *path = action->path, *rest = action->rest;

	errno = 0;
	if (!strcmp(verb, "load"))
		return load(action->file, rest);
	if (!strcmp(verb, "unload"))
		return unload(path);
	if (!strcmp(verb, "write"))
		return write_text(action->file, rest);
	if (!strcmp(verb, "open"))
		return open_only(path);
	if (!strcmp(verb, "read"))
		return slurp(path);
	if (!strcmp(verb, "edge"))
		return edge(path, rest);
	if (!strcmp(verb, "absent"))
		return access(path, F_OK) ? 0 : EEXIST;
	if (!strcmp(verb, "counters"))
		return show_counters(path);
	fail("%s: unknown", verb);
}

/* All of it: where no failure is injected. */
static int carry_out(const char *text)
{
	struct action action;
	int error = prepare(&action, text) ?: perform(&action);

	close(action.file);
	return error;
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
	close(action.file);
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
