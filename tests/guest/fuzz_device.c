// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz_device NAME SEED STEPS: reads, writes, maps and touches what the button NAME holds, at any
 * place and in any way, and presses it in between.
 *
 * The result of each step is predicted, and so is each byte that is seen: what the driver fills
 * with, or what was written last, by the file or by any mapping.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_input.h"

#define FILES		"/sys/kernel/debug/alloclab"
#define PAGE_BYTES	4096UL
#define MOST_BYTES	(16 * PAGE_BYTES)
#define NR_MAPPINGS	8
#define POISON		0x5a

static const struct method {
	const char *name;
	/* The largest size that is tried. */
	unsigned long largest;
	bool shared, zeroed;
} methods[] = {
	{ "vmalloc", MOST_BYTES, true, false },
	{ "vzalloc", MOST_BYTES, true, true },
	{ "raw_vmalloc", MOST_BYTES, true, false },
	{ "page", PAGE_BYTES, true, false },
	{ "pages", MOST_BYTES, true, false },
	{ "coherent", MOST_BYTES, true, true },
	{ "kmalloc", MOST_BYTES, false, false },
	{ "slab", 256, false, false },
	{ "devm", PAGE_BYTES, false, true },
	{ "kvmalloc", PAGE_BYTES, false, false },
};

/* What is held, as it has to be; its size is 0 if nothing is. */
static struct {
	unsigned long size, number;
	bool shared;
	unsigned char bytes[MOST_BYTES];
} held;

static struct mapping {
	unsigned char *bytes;
	unsigned long first, pages, number;
	int prot;
} mappings[NR_MAPPINGS];

enum { READS, WRITES, MAPS, TOUCHES, LOST, REFUSED, PRESSES, NR };

static const char *const names[NR] = {
	"reads", "writes", "maps", "touches", "lost", "refused", "presses",
};

static unsigned long counts[NR];
static int device, settings, press;
static unsigned char buffer[MOST_BYTES + PAGE_BYTES];
static sigjmp_buf before;

static void caught(int number)
{
	siglongjmp(before, number);
}

static void expect(const char *what, long got, long wanted)
{
	got = got < 0 ? -errno : got;
	if (got != wanted)
		wrong("%s is %ld, should be %ld", what, got, wanted);
	counts[REFUSED] += wanted < 0;
}

static void press_button(void)
{
	const struct method *method = &methods[below(ARRAY_SIZE(methods))];
	unsigned long size = 1 + below(one_in(2) ? method->largest : PAGE_BYTES);
	bool zero = one_in(2) && strcmp(method->name, "slab");
	char text[128];

	if (size > method->largest)
		size = method->largest;
	snprintf(text, sizeof(text), "method=%s size=%lu gfp=kernel%s", method->name, size,
		 zero ? "+zero" : "");
	expect(text, write(settings, text, strlen(text)), strlen(text));
	expect("press", write(press, "1", 1), 1);
	counts[PRESSES]++;
	if (held.size) {
		held.size = 0;
		return;
	}
	held.size = size;
	held.number++;
	held.shared = method->shared;
	memset(held.bytes, 0, sizeof(held.bytes));
	memset(held.bytes, zero || method->zeroed ? 0 : POISON, size);
}

/* A place, and how many bytes from there on: near what is held, or anywhere. */
static void choose(unsigned long *at, unsigned long *len)
{
	*at = one_in(8) ? odd_number() >> 1 : below(held.size + 3);
	*len = one_in(4) ? below(sizeof(buffer)) : below(64);
	if (one_in(8))
		*len = held.size > *at ? held.size - *at + below(2) : 0;
}

/* What has to come of an access at a place, but for how many bytes there are. */
static long judge(unsigned long at, unsigned long len)
{
	/* The kernel sees to it that no place is negative. */
	if (at > LONG_MAX - len)
		return -EINVAL;
	if (!held.size || !held.shared)
		return -ENXIO;
	return at > held.size ? -EINVAL : 0;
}

static void read_some(void)
{
	unsigned long at, len, rest;
	long wanted;

	choose(&at, &len);
	wanted = judge(at, len);
	if (!wanted) {
		rest = held.size - at;
		wanted = len < rest ? len : rest;
	}
	expect("read", pread(device, buffer, len, at), wanted);
	if (wanted > 0 && memcmp(buffer, held.bytes + at, wanted))
		wrong("%ld bytes from %lu on are not what they were", wanted, at);
	counts[READS]++;
}

static void write_some(void)
{
	unsigned long at, len;
	long wanted;

	choose(&at, &len);
	wanted = judge(at, len);
	if (!wanted)
		wanted = len > held.size - at ? -EINVAL : (long)len;
	for (unsigned long i = 0; i < len; i++)
		buffer[i] = below(256);
	expect("write", pwrite(device, buffer, len, at), wanted);
	if (wanted > 0)
		memcpy(held.bytes + at, buffer, wanted);
	counts[WRITES]++;
}

static void seek_some(void)
{
	long at = odd_number() >> 1;

	expect("lseek", lseek(device, at, SEEK_SET) == at ? 0 : -1, 0);
	expect("lseek before the beginning", lseek(device, -1 - at, SEEK_SET), -EINVAL);
	expect("lseek from the end", lseek(device, 0, SEEK_END), -EINVAL);
	expect("ioctl", ioctl(device, _IO(0xb7, below(256)), buffer), -ENOTTY);
}

static void unmap(struct mapping *of)
{
	if (of->bytes)
		expect("munmap", munmap(of->bytes, of->pages * PAGE_BYTES), 0);
	of->bytes = NULL;
}

static void map_some(void)
{
	struct mapping *of = &mappings[below(NR_MAPPINGS)];
	unsigned long all = (held.size + PAGE_BYTES - 1) / PAGE_BYTES;
	int flags = one_in(8) ? MAP_PRIVATE : MAP_SHARED;
	long wanted = 0;

	unmap(of);
	of->first = one_in(8) ? odd_number() >> 16 : below(all + 1);
	of->pages = 1 + below(one_in(4) ? 64 : all + 1);
	of->number = held.number;
	of->prot = one_in(4) ? PROT_READ : PROT_READ | PROT_WRITE;
	of->prot |= one_in(8) ? PROT_EXEC : 0;
	flags |= one_in(4) ? MAP_POPULATE : 0;
	if (flags & MAP_PRIVATE || of->prot & PROT_EXEC)
		wanted = -EINVAL;
	else if (!held.size || !held.shared)
		wanted = -ENXIO;
	else if (of->first > all || of->pages > all - of->first)
		wanted = -EINVAL;
	of->bytes = mmap(NULL, of->pages * PAGE_BYTES, of->prot, flags, device,
			 of->first * PAGE_BYTES);
	if (of->bytes == MAP_FAILED)
		of->bytes = NULL;
	expect("mmap", of->bytes ? 0 : -1, wanted);
	counts[MAPS]++;
}

static void touch_some(void)
{
	struct mapping *of = &mappings[below(NR_MAPPINGS)];
	bool is_there = held.size && of->number == held.number;
	unsigned long at = below(of->pages ? of->pages * PAGE_BYTES : 1);
	unsigned long place = of->first * PAGE_BYTES + at;
	unsigned char value = below(256), got = 0;
	bool is_write = one_in(2);
	int number, wanted;

	if (!of->bytes)
		return;
	wanted = is_write && !(of->prot & PROT_WRITE) ? SIGSEGV : is_there ? 0 : SIGBUS;
	number = sigsetjmp(before, 1);
	if (!number) {
		if (is_write)
			__atomic_store_n(of->bytes + at, value, __ATOMIC_RELAXED);
		else
			got = __atomic_load_n(of->bytes + at, __ATOMIC_RELAXED);
	}
	expect("touch", number, wanted);
	counts[number ? LOST : TOUCHES]++;
	if (number)
		return;
	if (is_write)
		held.bytes[place] = value;
	else if (got != held.bytes[place])
		wrong("byte %lu is %02x, should be %02x", place, got, held.bytes[place]);
}

static void change_some(void)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_SEQUENTIAL, MADV_DONTFORK, MADV_DOFORK,
		MADV_DODUMP, MADV_DONTDUMP, MADV_HUGEPAGE, MADV_MERGEABLE, MADV_REMOVE, MADV_FREE,
		MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	struct mapping *of = &mappings[below(NR_MAPPINGS)];
	unsigned long len = of->pages * PAGE_BYTES;
	int prot = one_in(2) ? PROT_READ : PROT_READ | PROT_WRITE;
	void *moved;

	if (!of->bytes)
		return;
	switch (below(5)) {
	case 0:
		expect("mprotect", mprotect(of->bytes, len, prot), 0);
		of->prot = prot;
		break;
	case 1:
		expect("mprotect to execute", mprotect(of->bytes, len, prot | PROT_EXEC), -EACCES);
		break;
	case 2:
		moved = mremap(of->bytes, len, len + PAGE_BYTES, MREMAP_MAYMOVE);
		expect("mremap to grow", moved == MAP_FAILED ? -1 : 0, -EFAULT);
		break;
	case 3:
		if (of->pages < 2)
			break;
		moved = mremap(of->bytes, len, len - PAGE_BYTES, 0);
		expect("mremap to shrink", moved == of->bytes ? 0 : -1, 0);
		of->pages--;
		break;
	default:
		/* Whatever comes of it, the bytes stay what they are. */
		madvise(of->bytes, len, advice[below(ARRAY_SIZE(advice))]);
		msync(of->bytes, len, MS_SYNC);
	}
}

static int open_file(const char *directory, const char *name, const char *file, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s%s", directory, name, file);
	fd = open(path, flags);
	if (fd < 0)
		wrong("%s cannot be opened: %s", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	unsigned long steps;

	if (argc != 4)
		return 2;
	random_state = strtoull(argv[2], NULL, 0);
	steps = strtoul(argv[3], NULL, 0);
	device = open_file("/dev/alloclab", argv[1], "", O_RDWR);
	settings = open_file(FILES, argv[1], "/settings", O_WRONLY);
	press = open_file(FILES, argv[1], "/press", O_WRONLY);
	signal(SIGBUS, caught);
	signal(SIGSEGV, caught);
	for (unsigned long i = 0; i < steps; i++) {
		switch (below(24)) {
		case 0:
			doing = "press";
			press_button();
			break;
		case 1 ... 4:
			doing = "read";
			read_some();
			break;
		case 5 ... 8:
			doing = "write";
			write_some();
			break;
		case 9 ... 10:
			doing = "seek";
			seek_some();
			break;
		case 11 ... 14:
			doing = "map";
			map_some();
			break;
		case 15 ... 16:
			doing = "change";
			change_some();
			break;
		default:
			doing = "touch";
			touch_some();
		}
	}
	for (int i = 0; i < NR_MAPPINGS; i++)
		unmap(&mappings[i]);
	if (held.size)
		press_button();
	printf("steps=%lu", steps);
	for (int i = 0; i < NR; i++)
		printf(" %s=%lu", names[i], counts[i]);
	puts("");
	return 0;
}
