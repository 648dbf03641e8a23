// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz DIRECTORY SEED INPUTS EVERY SEEDS: write to and read from a button's files in DIRECTORY,
 * first what the file SEEDS has, then INPUTS generated and mutated inputs.
 *
 * The result of each write is predicted. After each, the file must show what it did, or what was
 * accepted; after every EVERY-th, so must all other settings, and after every EVERY-th that was
 * refused and each that was accepted pages, stats and live. What a file shows after a write that
 * was accepted is written again, and shows the same. Each read must return its part of what the
 * file shows.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/uio.h>

#include "fuzz_state.h"

/* Larger requests are set but not carried out: the guest is to keep its memory. */
#define SAFE_BYTES	(256 << 10)
#define SAFE_PRESSES	3

static struct {
	unsigned long writes, reads, accepted, refused, compared;
} counts;

static unsigned long every;
/* A page, and one after it that cannot be used. */
static char *edge;

/* Sees to it that a press takes no more memory than there is to spare. */
static void be_modest(void)
{
	if (now.sized && now.size > SAFE_BYTES) {
		must_set(SIZE, "default");
		now.sized = false;
		save_others();
	}
}

/* What is shown after a write that was accepted is itself accepted, and shown again. */
static void round_trip(enum file file)
{
	static struct text shown, again;
	char *word = shown.bytes;
	size_t len;

	content(file, &shown);
	len = shown.len;
	if (file == METHOD) {
		word = strchr(shown.bytes, '[') + 1;
		len = strchr(word, ']') - word;
	}
	if (write(files[file], word, len) != (ssize_t)len)
		wrong("what %s shows is refused: %m: %s", file_names[file], shown.bytes);
	content(file, &again);
	same(file, &again, &shown);
}

static void check_write(enum file file, ssize_t got, ssize_t wanted, unsigned long pressed)
{
	if (got != wanted)
		wrong("is %zd (%s), should be %zd (%s)", got, got < 0 ? strerror(-got) : "",
		      wanted, wanted < 0 ? strerror(-wanted) : "");
	if (file < NR_SETTINGS)
		compare_setting(file);
	if (counts.writes++ % every == 0)
		for (enum file setting = 0; setting < NR_SETTINGS; setting++)
			compare_setting(setting);
	if (wanted < 0) {
		if (counts.refused++ % every == 0) {
			compare_others(false);
			counts.compared++;
		}
	} else if (pressed) {
		counts.accepted++;
		presses += pressed;
		save_others();
	} else if (wanted) {
		counts.accepted++;
		compare_others(true);
		round_trip(file);
	}
}

static ssize_t result(ssize_t len)
{
	return len < 0 ? -errno : len;
}

/* Writes `input` at once, by a file that is opened for it if `flags` are not 0. */
static void write_plain(enum file file, int flags)
{
	int fd = flags ? open_file(file, flags) : files[file];
	unsigned long pressed;
	ssize_t wanted = judge(file, input.bytes, input.len, &now, &pressed);
	ssize_t got = result(write(fd, input.bytes, input.len));

	if (flags)
		close(fd);
	check_write(file, got, wanted ?: (ssize_t)input.len, pressed);
}

/* Writes `input` in two parts, each of which is a write of its own. */
static void write_parts(enum file file)
{
	size_t first = 1 + below(input.len - 1);
	struct iovec parts[] = {
		{ .iov_base = input.bytes, .iov_len = first },
		{ .iov_base = input.bytes + first, .iov_len = input.len - first },
	};
	unsigned long pressed = 0;
	ssize_t wanted = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		unsigned long more;
		int error = judge(file, parts[i].iov_base, parts[i].iov_len, &now, &more);

		if (error) {
			wanted = wanted ?: error;
			break;
		}
		pressed += more;
		wanted += parts[i].iov_len;
	}
	check_write(file, result(writev(files[file], parts, ARRAY_SIZE(parts))), wanted, pressed);
}

/* There is no writing at an offset: this is refused before the driver sees it. */
static void write_at(enum file file)
{
	off_t at = (off_t)odd_number();

	check_write(file, result(pwrite(files[file], input.bytes, input.len, at)),
		    at < 0 ? -EINVAL : -ESPIPE, 0);
}

/* Writes more than there is memory for. */
static void write_beyond(enum file file)
{
	size_t there = below(input.len < PAGE_BYTES ? input.len : PAGE_BYTES);
	size_t looked_at = input.len < TEXT_BYTES ? input.len : TEXT_BYTES;
	char *begin = edge + PAGE_BYTES - there;

	memcpy(begin, input.bytes, there);
	check_write(file, result(write(files[file], begin, input.len)),
		    file >= LIVE ? -EINVAL : looked_at > there ? -EFAULT : -E2BIG, 0);
}

/* Writes `input` in one of the ways. Returns whether it did. */
static bool fuzz_write(enum file file)
{
	static const int flags[] = { O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND };
	struct settings ignored = now;
	unsigned long pressed;

	judge(file, input.bytes, input.len, &ignored, &pressed);
	if (pressed > SAFE_PRESSES)
		return false;
	if (file == PRESS)
		be_modest();
	switch (below(16)) {
	case 0:
		write_plain(file, flags[below(ARRAY_SIZE(flags))]);
		break;
	case 1:
		write_at(file);
		break;
	case 2:
		/* A part of a number of presses may be a larger number than the whole. */
		if (input.len < 2 || file == PRESS)
			return false;
		write_parts(file);
		break;
	case 3:
		if (!input.len)
			return false;
		write_beyond(file);
		break;
	default:
		write_plain(file, 0);
	}
	return true;
}

/* What a file shows, if it is known. */
static const struct text *known(enum file file)
{
	static struct text text;

	if (file < NR_SETTINGS) {
		expect(file, &now, &text);
		return &text;
	}
	/* The age of what is held goes on. */
	return file == LIVE && strcmp(saved[LIVE].bytes, "none\n") ? NULL : &saved[file];
}

static void check_read(ssize_t got, const char *bytes, size_t room, unsigned long at,
		       const struct text *whole)
{
	size_t wanted;

	if (got < 0 || (size_t)got > room)
		wrong("%zu bytes at %llu: %zd (%s)", room, (unsigned long long)at, got,
		      got < 0 ? strerror(-got) : "");
	if (!whole)
		return;
	wanted = at < whole->len ? whole->len - at : 0;
	if (wanted > room)
		wanted = room;
	if ((size_t)got != wanted || memcmp(bytes, whole->bytes + at, wanted))
		wrong("%zu bytes at %llu: \"%.*s\" of\n%s", room, (unsigned long long)at, (int)got,
		      bytes, whole->bytes);
}

static unsigned long odd_offset(const struct text *whole)
{
	switch (below(3)) {
	case 0:
		return 0;
	case 1:
		return below((whole ? whole->len : 100) + 3);
	default:
		return odd_number() >> 24;
	}
}

/* Reads a file in one of the ways. */
static void fuzz_read(enum file file)
{
	static const size_t rooms[] = { 0, 1, 2, 3, 7, 64, 4096, TEXT_MAX };
	static struct text got;
	const struct text *whole = file == PRESS ? NULL : known(file);
	size_t room = rooms[below(ARRAY_SIZE(rooms))];
	unsigned long at = odd_offset(whole);
	int fd = files[file];
	ssize_t len;

	counts.reads++;
	if (file == PRESS) {
		len = result(one_in(2) ? read(fd, got.bytes, room) :
			     pread(fd, got.bytes, room, at));
		if (len != -EINVAL)
			wrong("%zu bytes at %llu: %zd", room, (unsigned long long)at, len);
		return;
	}
	/* Where a read ended, the next one goes on in the same text (seq_file.c), and that was of
	 * before the last write. A read of the beginning makes it anew.
	 */
	if (pread(fd, got.bytes, 1, 0) < 0)
		wrong("the beginning: %m");
	switch (below(5)) {
	case 0:
		len = result(pread(fd, got.bytes, room, -1 - (off_t)at));
		if (len != -EINVAL)
			wrong("%zu bytes before the beginning: %zd", room, len);
		break;
	case 1:
		len = result(pread(fd, edge + PAGE_BYTES, room ?: 1, 0));
		if (len != -EFAULT && (len || !whole || whole->len))
			wrong("without memory: %zd", len);
		break;
	case 2:
		/* All of it, in small pieces. */
		if (lseek(fd, 0, SEEK_SET))
			wrong("lseek to the beginning: %m");
		room = 1 + below(40);
		clear(&got);
		do {
			len = read(fd, got.bytes + got.len, room);
			check_read(len, got.bytes + got.len, room, got.len, whole);
			got.len += len;
		} while (len && got.len < TEXT_MAX - room);
		break;
	case 3:
		if (lseek(fd, at, SEEK_SET) != (off_t)at || lseek(fd, 1, SEEK_CUR) != (off_t)at + 1)
			wrong("lseek to %llu: %m", (unsigned long long)at);
		if (lseek(fd, -1 - (off_t)at, SEEK_SET) >= 0 || errno != EINVAL ||
		    lseek(fd, -1, SEEK_END) >= 0 || errno != EINVAL)
			wrong("lseek to nowhere: %m");
		check_read(result(read(fd, got.bytes, room)), got.bytes, room, at + 1, whole);
		break;
	default:
		check_read(result(pread(fd, got.bytes, room, at)), got.bytes, room, at, whole);
	}
}

/* Puts together what is to be written to a file. */
static void make_input(enum file file)
{
	const struct seed *seed = &seeds[below(nr_seeds)];

	clear(&input);
	if (one_in(8))
		add_fill(&input, " \t\n"[below(3)], 1 + below(3));
	switch (below(12)) {
	case 0 ... 4:
		add_valid(&input, file);
		break;
	case 5:
		for (unsigned long left = 1 + below(4); left; left--) {
			add_valid(&input, below(NR_FILES));
			add_word(&input, one_in(2) ? "+" : " ");
		}
		break;
	case 6 ... 8:
		add_valid(&input, file);
		mutate(&input);
		break;
	case 9:
		add(&input, seed->bytes, seed->len);
		break;
	case 10:
		add(&input, seed->bytes, seed->len);
		mutate(&input);
		break;
	default:
		add_garbage(&input);
	}
}

/* Each seed on a button that is as it was at first. */
static void run_seeds(void)
{
	for (size_t i = 0; i < nr_seeds; i++) {
		const struct seed *seed = &seeds[i];
		int file = find_word(seed->file, strlen(seed->file), file_names, NR_FILES);
		struct settings then = defaults;
		unsigned long pressed;
		int error;

		if (file < 0)
			continue;
		reset();
		save_others();
		clear(&input);
		add(&input, seed->bytes, seed->len);
		doing_file = seed->file;
		error = judge(file, input.bytes, input.len, &then, &pressed);
		if (strcmp(seed->result, !error ? "accepted" :
			   error == -E2BIG ? "E2BIG" : "EINVAL"))
			wrong("the seed says %s, the oracle %d", seed->result, error);
		write_plain(file, 0);
	}
}

int main(int argc, char **argv)
{
	unsigned long inputs;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 6)
		return 2;
	directory = argv[1];
	random_state = strtoull(argv[2], NULL, 0);
	inputs = strtoul(argv[3], NULL, 0);
	every = strtoul(argv[4], NULL, 0);
	edge = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (edge == MAP_FAILED || mprotect(edge + PAGE_BYTES, PAGE_BYTES, PROT_NONE))
		wrong("no memory: %m");
	for (enum file file = 0; file < NR_FILES; file++)
		files[file] = open_file(file, O_RDWR);
	doing = "learn";
	learn_all();
	doing = "seed";
	read_seeds(argv[5]);
	run_seeds();
	while (counts.writes + counts.reads < inputs) {
		enum file file = below(NR_FILES);

		doing_file = file_names[file];
		doing = "read";
		if (one_in(4)) {
			clear(&input);
			fuzz_read(file);
			continue;
		}
		doing = "write";
		/* What cannot be written needs not be tried as often. */
		if (file >= LIVE && !one_in(4))
			continue;
		make_input(file);
		fuzz_write(file);
	}
	doing = "end";
	reset();
	save_others();
	if (strcmp(saved[LIVE].bytes, "none\n")) {
		must_set(PRESS, "1");
		presses++;
		save_others();
	}
	if (counter("\nbytes_held: "))
		wrong("stats is\n%s", saved[STATS].bytes);
	printf("inputs=%lu writes=%lu reads=%lu ", counts.writes + counts.reads, counts.writes,
	       counts.reads);
	printf("accepted=%lu refused=%lu compared=%lu presses=%llu\n", counts.accepted,
	       counts.refused, counts.compared, presses);
	return 0;
}
