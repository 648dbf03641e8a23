// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and unloads the module, or binds and unbinds its devices, again and again, while users
 * read and write every file of the devices.
 *
 * cycle load|bind CYCLES USERS STORMED DEVICE...
 *
 * STORMED is the device to which edges come all the time, or `-`: in each cycle it must have got
 * one. Which files there are, and who may do what with them, is what a device's directory says. A
 * cycle goes on until each user has used each file once, and the last one until each file has taken
 * a word; without users, something is held then. A text that is read must be whole, a word that is
 * written may be refused, and any other error must say that the file is gone. Unbind happens with
 * all files open, and must not wait for that; an unload is tried again for as long as a user has a
 * file open.
 *
 * The last line says what was done; the lines before it, how often the users have read a file, and
 * how often a word of theirs was taken there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
#define REFUSED_US 120000000
/* A storm that brings no edge for so long is none, and a user that needs so long hangs. */
#define EDGE_US 120000000
#define PASS_US 300000000
#define MAX_FILES 32
#define MAX_USERS 8

/* How a text begins and how its last line does, where a file's name does not say it all. */
static const struct text {
	const char *name, *first, *last;
	/* What else it may say. */
	const char *none;
	/* A list has no pages. */
	int may_be_empty;
} known[] = {
	{ "live", "label: ", "press: ", "none\n" },
	{ "pages", "0 ", "", "none\n", 1 },
	{ "stats", "label: ", "list: allocs=" },
	{ NULL, "", "" },
};

/*
 * What users write: each file takes some of it. So many words have no factor in common with the
 * files that are written, so that each file gets each word.
 */
static const char *const words[] = {
	"1", "64", "100", "4K", "default", "cycle", "kmalloc", "vmalloc", "kernel", "atomic",
	"hard", "thread", "method=page size=64",
};

#define NR_WORDS (sizeof(words) / sizeof(*words))

/* What a directory says of a file, and what users have done with it. */
struct file {
	char name[NAME_MAX + 1];
	mode_t mode;
	long reads, taken;
};

static const char *stormed;
static char **devices;
static int nr_devices;
static atomic_long texts, written, gone, passes[MAX_USERS];
static atomic_int over;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file used[MAX_FILES];
static int nr_used;

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

	if (snprintf(path, sizeof(path), FILES "/%s/%s", device, name) >= PATH_BYTES)
		die("too long:", name);
	return open(path, flags);
}

/* The files in a device's directory; returns how many, none if it is gone. */
static int list_files(const char *device, struct file *files)
{
	char path[PATH_BYTES];
	const struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), FILES "/%s", device);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		struct stat stat;

		if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &stat, 0))
			continue;
		if (count == MAX_FILES)
			die("files:", "too many");
		snprintf(files[count].name, sizeof(files[count].name), "%s", entry->d_name);
		files[count++].mode = stat.st_mode;
	}
	closedir(dir);
	return count;
}

static const struct text *text_of(const char *name)
{
	const struct text *text = known;

	while (text->name && strcmp(text->name, name))
		text++;
	return text;
}

/* Whether a text is all that its file has to say. */
static int is_whole(const char *name, const char *text, size_t len)
{
	const struct text *kind = text_of(name);
	const char *last;

	if ((kind->none && !strcmp(text, kind->none)) || (kind->may_be_empty && !len))
		return 1;
	if (!len || strlen(text) != len || text[len - 1] != '\n')
		return 0;
	last = memrchr(text, '\n', len - 1);
	last = last ? last + 1 : text;
	return !strncmp(text, kind->first, strlen(kind->first)) &&
	       !strncmp(last, kind->last, strlen(kind->last));
}

/* Whether a file that could not be used is gone, at whatever step that was found out. */
static int is_gone(int fd)
{
	/* ENXIO is the answer to an open while the module's init or exit runs. */
	return errno == ENOENT || errno == ENODEV || errno == EIO || (fd < 0 && errno == ENXIO);
}

/* Notes that a user has read a file, or that a word was taken there. */
static void note(const struct file *file, long reads, long taken)
{
	int i = 0;

	pthread_mutex_lock(&lock);
	while (i < nr_used && strcmp(used[i].name, file->name))
		i++;
	if (i == MAX_FILES)
		die("files:", "too many");
	if (i == nr_used)
		used[nr_used++] = *file;
	used[i].reads += reads;
	used[i].taken += taken;
	pthread_mutex_unlock(&lock);
}

static void read_file(const char *device, const struct file *file, char *text)
{
	const char *name = file->name;
	int fd = open_file(device, name, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);

	if (len >= 0) {
		text[len] = 0;
		if (!is_whole(name, text, len)) {
			fprintf(stderr, "%s/%s is not whole: %s", device, name, text);
			exit(1);
		}
		texts++;
		note(file, 1, 0);
	} else if (is_gone(fd)) {
		gone++;
	} else {
		die(fd < 0 ? "open" : "read", name);
	}
	if (fd >= 0)
		close(fd);
}

static void write_file(const char *device, const struct file *file, const char *word)
{
	const char *name = file->name;
	int fd = open_file(device, name, O_WRONLY);
	ssize_t len = fd < 0 ? -1 : write(fd, word, strlen(word));

	if (len >= 0) {
		written++;
		note(file, 0, 1);
	} else if (is_gone(fd)) {
		gone++;
	} else if (fd < 0 || errno != EINVAL) {
		die(fd < 0 ? "open to write" : "write", name);
	}
	if (fd >= 0)
		close(fd);
}

static void *user(void *number)
{
	struct file *files = calloc(MAX_FILES, sizeof(*files));
	unsigned long next = (unsigned long)number;
	char *text = malloc(TEXT_BYTES);

	if (!text || !files)
		die("user", "memory");
	while (!over) {
		for (int i = 0; i < nr_devices; i++) {
			int count = list_files(devices[i], files);

			for (int file = 0; file < count; file++) {
				note(&files[file], 0, 0);
				if (files[file].mode & 0400)
					read_file(devices[i], &files[file], text);
				if (files[file].mode & 0200)
					write_file(devices[i], &files[file],
						   words[next++ % NR_WORDS]);
			}
		}
		passes[(unsigned long)number]++;
		/* So that a file is not always open. */
		usleep(500);
	}
	return NULL;
}

/* Waits until each user has used each file since it was called. */
static void wait_for_users(long users)
{
	long begin = us_now();

	for (long number = 0; number < users; number++) {
		long wanted = passes[number] + 2;

		while (passes[number] < wanted) {
			if (us_now() - begin > PASS_US)
				die("user", "hangs");
			usleep(1000);
		}
	}
}

/* Whether each file that users write has taken a word. */
static int all_have_taken(void)
{
	int all = 1;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < nr_used; i++)
		all &= !(used[i].mode & 0200) || used[i].taken;
	pthread_mutex_unlock(&lock);
	return all;
}

/* Waits until it has, in the last cycle: in a few passes a file may get no word that it takes. */
static void wait_for_words(void)
{
	long begin = us_now();

	while (!all_have_taken()) {
		if (us_now() - begin > PASS_US)
			die("words", "not taken");
		usleep(1000);
	}
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
static void use(const char *device, char *text, long users)
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
	/* `static` has one buffer: with users, two devices may want it at a time. */
	if (allocs + frees + failures != presses || (failures && !users) ||
	    allocs - frees != (value(text, "\nbytes_held: ") > 0)) {
		fprintf(stderr, "%s", text);
		exit(1);
	}
}

static int is_loaded(void)
{
	return !access("/sys/module/alloclab", F_OK);
}

/* Unloads, again and again while a user is in the way; returns how often it was refused. */
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
	static struct file files[MAX_FILES];
	static int fds[MAX_FILES][2];
	int count = list_files(device, files);
	long us;

	if (!count)
		die("files:", "none");
	for (int i = 0; i < count; i++) {
		const char *name = files[i].name;

		fds[i][0] = files[i].mode & 0400 ? open_file(device, name, O_RDONLY) : 0;
		fds[i][1] = files[i].mode & 0200 ? open_file(device, name, O_WRONLY) : 0;
		if (fds[i][0] < 0 || fds[i][1] < 0 || !(fds[i][0] || fds[i][1]))
			die("open", name);
		/* One that is at the middle of its text. */
		if (fds[i][0] && i % 2 && read(fds[i][0], text, 1) != 1 &&
		    !text_of(name)->may_be_empty)
			die("read", name);
	}
	us = tell("unbind", device);
	for (int i = 0; i < count; i++) {
		if (fds[i][0] && (read(fds[i][0], text, TEXT_BYTES) != -1 || errno != EIO))
			die("read after unbind", files[i].name);
		if (fds[i][1] && (write(fds[i][1], words[0], 1) != -1 || errno != EIO))
			die("write after unbind", files[i].name);
		for (int side = 0; side < 2; side++) {
			if (fds[i][side])
				close(fds[i][side]);
		}
	}
	return us;
}

int main(int argc, char **argv)
{
	long cycles, users, slowest = 0, refused = 0;
	static pthread_t threads[MAX_USERS];
	static char text[TEXT_BYTES];
	int loads;

	if (argc < 6)
		die("usage:", "cycle load|bind CYCLES USERS STORMED DEVICE...");
	loads = !strcmp(argv[1], "load");
	cycles = atol(argv[2]);
	users = atol(argv[3]);
	stormed = argv[4];
	devices = &argv[5];
	nr_devices = argc - 5;
	if (users > MAX_USERS)
		die("users:", "too many");
	if (loads == is_loaded())
		die("loaded:", loads ? "already" : "not yet");

	for (long number = 0; number < users; number++) {
		if (pthread_create(&threads[number], NULL, user, (void *)number))
			die("user", "thread");
	}

	for (long cycle = 1; cycle <= cycles; cycle++) {
		if (loads)
			load();
		for (int i = 0; i < nr_devices; i++) {
			long us;

			use(devices[i], text, users);
			if (loads)
				continue;
			wait_for_users(users);
			if (cycle == cycles)
				wait_for_words();
			us = unbind_open(devices[i], text);
			if (us > slowest)
				slowest = us;
			/* After the last one, nobody is to use the files. */
			over = cycle == cycles && i == nr_devices - 1;
			for (long number = 0; over && number < users; number++)
				pthread_join(threads[number], NULL);
			tell("bind", devices[i]);
		}
		if (loads) {
			wait_for_users(users);
			if (cycle == cycles)
				wait_for_words();
			refused += unload();
		}
	}
	for (int i = 0; i < nr_used; i++)
		printf("%s read %ld written %ld\n", used[i].name, used[i].reads, used[i].taken);
	printf("cycles %ld texts %ld words %ld gone %ld refused %ld slowest_us %ld\n", cycles,
	       texts, written, gone, refused, slowest);
	return 0;
}
