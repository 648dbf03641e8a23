// SPDX-License-Identifier: GPL-2.0
/*
 * mappers DEVICE SECONDS PAGES [unbind]: threads and children map what a button holds, touch it,
 * read and write it by its file, and unmap it, while others press the button and, with `unbind`,
 * unbind it and bind it again.
 *
 * Each byte that somebody sees must be one that the driver fills with, or one that somebody here
 * has written: anything else belongs to someone else. What is not there is told by an error or by
 * SIGBUS. A file that answers EIO is opened again. The last line says how often what was done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES "/sys/kernel/debug/alloclab"
#define DRIVER "/sys/bus/platform/drivers/alloclab"
#define PATH_BYTES 256
#define NR_MAPPERS 4
/* So many tenths of a second longer, if something that should happen has not. */
#define MORE 1000
/* What is written here, and what the driver fills with. */
#define OURS 0xa7
#define POISON 0x5a

enum { MAPPED, TOUCHED, BUS, NOTHING, READS, WRITES, FORKS, SPLIT, REOPENED, PRESSES, UNBINDS, NR };

static const char *const names[NR] = {
	"mapped", "touched", "sigbus", "nothing", "reads", "writes", "forks", "split", "reopened",
	"presses", "unbinds",
};

static atomic_long counts[NR];
static atomic_int over;
static char device[PATH_BYTES], press[PATH_BYTES];
static const char *name;
static size_t page_bytes, pages;
static __thread sigjmp_buf before;

static void die(const char *what, long value)
{
	fprintf(stderr, "%s %ld: %s\n", what, value, strerror(errno));
	_exit(1);
}

static void caught(int number)
{
	siglongjmp(before, number);
}

static void look_at(unsigned char byte)
{
	if (byte && byte != OURS && byte != POISON)
		die("a byte of others:", byte);
}

/* Reads and writes a byte of each page. Returns whether it was there until the end. */
static int touch(unsigned char *bytes, size_t len, unsigned int *random)
{
	if (sigsetjmp(before, 1)) {
		counts[BUS]++;
		return 0;
	}
	for (size_t at = 0; at < len; at += page_bytes) {
		unsigned char *byte = bytes + at + rand_r(random) % page_bytes;

		look_at(__atomic_load_n(byte, __ATOMIC_RELAXED));
		if (rand_r(random) % 2)
			__atomic_store_n(byte, OURS, __ATOMIC_RELAXED);
		counts[TOUCHED]++;
	}
	return 1;
}

/* Whether an error says that nothing is held, or that it is less than was thought. */
static int is_nothing(void)
{
	return errno == ENXIO || errno == EINVAL;
}

static void open_again(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	while (!over) {
		int file = open(device, O_RDWR);

		*fd = file;
		if (file >= 0)
			break;
		if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
			die("open", 0);
	}
	counts[REOPENED]++;
}

/* By the file: at a place of what is held. */
static void copy(int *fd, unsigned int *random)
{
	unsigned char bytes[512];
	off_t at = rand_r(random) % (pages * page_bytes);
	int is_write = rand_r(random) % 2;
	ssize_t len;

	memset(bytes, OURS, sizeof(bytes));
	len = is_write ? pwrite(*fd, bytes, sizeof(bytes), at) :
			 pread(*fd, bytes, sizeof(bytes), at);
	if (len < 0 && errno == EIO)
		open_again(fd);
	else if (len < 0 && is_nothing())
		counts[NOTHING]++;
	else if (len < 0)
		die(is_write ? "write" : "read", at);
	else
		counts[is_write ? WRITES : READS]++;
	for (ssize_t i = 0; i < len && !is_write; i++)
		look_at(bytes[i]);
}

static void fork_with(unsigned char *bytes, size_t len, unsigned int *random)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		die("fork", 0);
	if (!child) {
		touch(bytes, len, random);
		/* So that what the child unmaps is not all of it. */
		munmap(bytes, page_bytes);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		die("child", status);
	counts[FORKS]++;
}

static void unmap(unsigned char *bytes, size_t len)
{
	if (munmap(bytes, len))
		die("munmap", len);
}

static void *map(void *number)
{
	unsigned int random = (unsigned long)number;
	int fd = -1;

	open_again(&fd);
	while (!over) {
		size_t len = (1 + rand_r(&random) % pages) * page_bytes;
		unsigned char *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		int rounds = rand_r(&random) % 4;

		if (bytes == MAP_FAILED) {
			if (errno == EIO)
				open_again(&fd);
			else if (is_nothing())
				counts[NOTHING]++;
			else
				die("mmap", len);
			continue;
		}
		counts[MAPPED]++;
		while (rounds-- && touch(bytes, len, &random))
			copy(&fd, &random);
		if (rand_r(&random) % 64 == 0)
			fork_with(bytes, len, &random);
		if (len > 2 * page_bytes && rand_r(&random) % 4 == 0) {
			unsigned char *rest = bytes + 2 * page_bytes;

			/* From then on the hole is whosever it is. */
			unmap(bytes + page_bytes, page_bytes);
			touch(rest, len - 2 * page_bytes, &random);
			unmap(rest, len - 2 * page_bytes);
			len = page_bytes;
			counts[SPLIT]++;
		}
		unmap(bytes, len);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t len = fd < 0 ? -1 : write(fd, text, strlen(text));
	int error = len < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return error;
}

static void *press_button(void *unused)
{
	unsigned int random = 0;

	while (!over) {
		int error = put(press, "1");

		/* Sometimes at once, sometimes so that others have it for a while. */
		if (rand_r(&random) % 2)
			usleep(rand_r(&random) % 2000);

		if (!error)
			counts[PRESSES]++;
		else if (error != ENOENT && error != ENODEV && error != EIO && error != ENXIO)
			die("press", error);
	}
	return unused;
}

static void *bind_again(void *unused)
{
	while (!over) {
		if (put(DRIVER "/unbind", name) || put(DRIVER "/bind", name))
			die("unbind", counts[UNBINDS]);
		counts[UNBINDS]++;
		usleep(20000);
	}
	return unused;
}

/* Whether all that can happen has happened. */
static int has_seen_all(int unbinds)
{
	for (int what = 0; what < NR; what++)
		if (!counts[what] && (what != SPLIT || pages > 2) && (what != UNBINDS || unbinds))
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	pthread_t threads[NR_MAPPERS + 2];
	unsigned long left;
	int nr_threads = 0;

	if (argc < 4)
		return 2;
	name = argv[1];
	pages = strtoul(argv[3], NULL, 10);
	page_bytes = sysconf(_SC_PAGESIZE);
	snprintf(device, sizeof(device), "/dev/alloclab/%s", name);
	snprintf(press, sizeof(press), FILES "/%s/press", name);
	signal(SIGBUS, caught);
	for (; nr_threads < NR_MAPPERS; nr_threads++)
		pthread_create(&threads[nr_threads], NULL, map, (void *)(nr_threads + 1UL));
	pthread_create(&threads[nr_threads++], NULL, press_button, NULL);
	if (argc > 4)
		pthread_create(&threads[nr_threads++], NULL, bind_again, NULL);
	left = 10 * strtoul(argv[2], NULL, 10);
	for (unsigned long more = MORE; left;) {
		usleep(100000);
		if (left > 1 || !more || has_seen_all(argc > 4))
			left--;
		else
			more--;
	}
	over = 1;
	for (int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < NR; i++)
		printf("%s %ld%s", names[i], counts[i], i < NR - 1 ? " " : "\n");
	return 0;
}
