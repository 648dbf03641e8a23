// SPDX-License-Identifier: GPL-2.0
#include "fault_action.h"

char buffer[BUFFER_BYTES];

noreturn void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(": %s\n", strerror(errno));
	exit(1);
}

int slurp(const char *path)
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

/* Far from all else, so that the page tables are its own. */
static char *map(int file)
{
	return mmap((void *)MAP_ADDRESS, 1, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
}

static int map_only(int file)
{
	char *bytes = map(file);

	if (bytes == MAP_FAILED)
		return errno;
	return munmap(bytes, 1) ? errno : 0;
}

static sigjmp_buf before_touch;

static void caught(int number)
{
	siglongjmp(before_touch, number);
}

/* EFAULT where a signal says that nothing is there. */
static int touch(const char *bytes)
{
	int error;

	signal(SIGBUS, caught);
	error = sigsetjmp(before_touch, 1) ? EFAULT : 0;
	if (!error)
		buffer[0] = __atomic_load_n(bytes, __ATOMIC_RELAXED);
	return error;
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

int prepare(struct action *action, const char *text)
{
	char *rest = action->text;

	snprintf(action->text, sizeof(action->text), "%s", text);
	action->verb = strsep(&rest, " ");
	action->path = rest ? strsep(&rest, " ") : "";
	action->rest = rest ?: "";
	action->file = -1;
	action->bytes = MAP_FAILED;

	if (!strcmp(action->verb, "load"))
		action->file = open(action->path, O_RDONLY);
	else if (!strcmp(action->verb, "write"))
		action->file = open(action->path, O_WRONLY);
	else if (!strcmp(action->verb, "map") || !strcmp(action->verb, "touch"))
		action->file = open(action->path, O_RDWR);
	else
		return 0;
	if (action->file < 0)
		return errno;
	if (strcmp(action->verb, "touch"))
		return 0;
	action->bytes = map(action->file);
	return action->bytes == MAP_FAILED ? errno : 0;
}

int perform(const struct action *action)
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
	if (!strcmp(verb, "map"))
		return map_only(action->file);
	if (!strcmp(verb, "touch"))
		return touch(action->bytes);
	if (!strcmp(verb, "edge"))
		return edge(path, rest);
	if (!strcmp(verb, "absent"))
		return access(path, F_OK) ? 0 : EEXIST;
	if (!strcmp(verb, "counters"))
		return show_counters(path);
	fail("%s: unknown", verb);
}

void put_away(const struct action *action)
{
	if (action->bytes != MAP_FAILED)
		munmap(action->bytes, 1);
	close(action->file);
}

int carry_out(const char *text)
{
	struct action action;
	int error = prepare(&action, text) ?: perform(&action);

	put_away(&action);
	return error;
}
