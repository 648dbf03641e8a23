// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz_load MODULE SEED LOADS SEEDS: load MODULE with the parameters that the file SEEDS has, then
 * LOADS times with generated and mutated ones.
 *
 * The result of each load is predicted, after the kernel's own syntax of parameters. A refused
 * load must leave nothing; after any other, the parameters are what was said, and unloading leaves
 * nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz_input.h"

#define KMALLOC_MAX	(4UL << 20)
/* More is refused, or left to the tests that do it on purpose. */
#define SAFE_BYTES	(16UL << 20)

enum { PRELOAD_KMALLOC, PRELOAD_VMALLOC, NR_PARAMETERS };

static const char *const parameters[] = { "preload_kmalloc", "preload_vmalloc" };

static const char *const traces[] = {
	"/sys/module/alloclab", "/sys/kernel/debug/alloclab", "/sys/bus/platform/drivers/alloclab",
};

static unsigned long total_ram;

/* The kernel's isspace(), which is Latin-1's. */
static bool is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

/* Takes the next parameter off `*rest`, as next_arg() does. */
static void next_parameter(char **rest, char **name, char **value)
{
	char *at = *rest;
	bool quoted = *at == '"', inside = quoted;
	size_t i, equals = 0;

	if (quoted)
		at++;
	for (i = 0; at[i]; i++) {
		if (is_space(at[i]) && !inside)
			break;
		if (!equals && at[i] == '=')
			equals = i;
		if (at[i] == '"')
			inside = !inside;
	}
	*name = at;
	*value = NULL;
	if (equals) {
		at[equals] = 0;
		*value = at + equals + 1;
		if (**value == '"') {
			(*value)++;
			if (at[i - 1] == '"')
				at[i - 1] = 0;
		}
	}
	if (quoted && i > 0 && at[i - 1] == '"')
		at[i - 1] = 0;
	*rest = at + i;
	if (at[i]) {
		at[i] = 0;
		(*rest)++;
	}
	while (is_space(**rest))
		(*rest)++;
}

/* Whether they are the same; a dash is an underscore. */
static bool same_name(const char *name, const char *wanted)
{
	for (; *name && *wanted; name++, wanted++)
		if ((*name == '-' ? '_' : *name) != *wanted)
			return false;
	return *name == *wanted;
}

/* An unsigned long, as kstrtoul() reads it. */
static int judge_value(const char *text, unsigned long *value)
{
	unsigned long base = 10, number = 0;
	const char *digits;
	bool fits = true;

	if (*text == '+')
		text++;
	if (*text == '0') {
		base = 8;
		if ((text[1] | 0x20) == 'x' && isxdigit((unsigned char)text[2])) {
			base = 16;
			text += 2;
		}
	}
	for (digits = text; isxdigit((unsigned char)*text); text++) {
		unsigned long digit = isdigit((unsigned char)*text) ? *text - '0' :
				      (*text | 0x20) - 'a' + 10;

		if (digit >= base)
			break;
		if (__builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			fits = false;
	}
	if (!fits)
		return -ERANGE;
	if (*text == '\n' && text != digits)
		text++;
	if (*text || text == digits)
		return -EINVAL;
	*value = number;
	return 0;
}

/* What has to come of loading with these parameters, but for ENOMEM: 0 or the error. */
static int judge(const char *text, unsigned long *values)
{
	static char copy[TEXT_MAX + 1];
	char *rest = copy, *name, *value;
	int error = 0;

	memset(values, 0, NR_PARAMETERS * sizeof(*values));
	memcpy(copy, text, strlen(text) + 1);
	while (is_space(*rest))
		rest++;
	while (*rest) {
		next_parameter(&rest, &name, &value);
		if (!value && !strcmp(name, "--"))
			break;
		for (int i = 0; i < NR_PARAMETERS; i++) {
			if (!same_name(name, parameters[i]))
				continue;
			/* All are looked at; the last error counts. */
			error = (value ? judge_value(value, &values[i]) : -EINVAL) ?: error;
		}
	}
	if (error)
		return error;
	return values[PRELOAD_KMALLOC] > KMALLOC_MAX || values[PRELOAD_VMALLOC] > total_ram ?
	       -E2BIG : 0;
}

static void must_be(bool there)
{
	for (size_t i = 0; i < ARRAY_SIZE(traces); i++)
		if (!access(traces[i], F_OK) != there)
			wrong("%s is %s", traces[i], there ? "not there" : "left");
}

static void must_show(int parameter, unsigned long value)
{
	unsigned long shown;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/parameters/%s", traces[0], parameters[parameter]);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lu", &shown) != 1 || shown != value)
		wrong("%s is not %lu", path, value);
	fclose(file);
}

/* Loads the module with `input`. Returns 0 or the error; 1 where it would take too much memory. */
static int load(int module)
{
	unsigned long values[NR_PARAMETERS];
	int wanted, got;

	input.bytes[input.len] = 0;
	wanted = judge(input.bytes, values);
	if (!wanted && values[PRELOAD_VMALLOC] > SAFE_BYTES)
		return 1;
	got = syscall(SYS_finit_module, module, input.bytes, 0) ? -errno : 0;
	if (got != wanted && !(got == -ENOMEM && !wanted))
		wrong("%s, should be %s", strerror(-got), strerror(-wanted));
	must_be(!got);
	if (!got) {
		for (int i = 0; i < NR_PARAMETERS; i++)
			must_show(i, values[i]);
		if (syscall(SYS_delete_module, "alloclab", O_NONBLOCK))
			wrong("cannot be unloaded: %m");
		must_be(false);
	}
	return got;
}

static void add_parameter(void)
{
	static const char *const names[] = {
		"preload-kmalloc", "preload_kmallo", "alloclab.preload_kmalloc", "PRELOAD_KMALLOC",
		"nonsense", "", "\"preload_vmalloc", "--", "preload_vmalloc[0]",
	};
	static const unsigned long limits[] = { 0, 1, 4096, KMALLOC_MAX, UINT32_MAX, SAFE_BYTES };
	unsigned long number;

	add_word(&input, one_in(5) ? names[below(ARRAY_SIZE(names))] : parameters[below(2)]);
	if (!one_in(12))
		add_word(&input, "=");
	number = one_in(8) ? total_ram : limits[below(ARRAY_SIZE(limits))];
	if (one_in(16))
		add_garbage(&input);
	else
		add_number(&input, one_in(2) ? odd_number() : number + below(3) - 1);
	add_word(&input, one_in(12) ? "K" : "");
	add_word(&input, one_in(12) ? "\"" : "");
	add_fill(&input, " \t\n\xa0"[below(4)], 1);
}

static void make_input(void)
{
	const struct seed *seed = &seeds[below(nr_seeds)];

	clear(&input);
	if (one_in(6))
		add(&input, seed->bytes, seed->len);
	else
		for (unsigned long left = 1 + below(3); left; left--)
			add_parameter();
	if (one_in(4))
		mutate(&input);
}

static void read_total_ram(void)
{
	FILE *file = fopen("/proc/meminfo", "r");

	if (!file || fscanf(file, "MemTotal: %lu", &total_ram) != 1)
		wrong("/proc/meminfo cannot be read");
	total_ram <<= 10;
	fclose(file);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int error;
	} results[] = {
		{ "accepted", 0 }, { "EINVAL", -EINVAL }, { "ERANGE", -ERANGE },
		{ "E2BIG", -E2BIG },
	};
	unsigned long loads = 0, accepted = 0, wanted;
	int module, error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5)
		return 2;
	module = open(argv[1], O_RDONLY | O_CLOEXEC);
	random_state = strtoull(argv[2], NULL, 0);
	wanted = strtoul(argv[3], NULL, 0);
	read_seeds(argv[4]);
	read_total_ram();
	must_be(false);
	doing = "load";
	for (size_t i = 0; i < nr_seeds; i++) {
		if (strcmp(seeds[i].file, doing))
			continue;
		clear(&input);
		add(&input, seeds[i].bytes, seeds[i].len);
		error = load(module);
		for (size_t j = 0; j < ARRAY_SIZE(results); j++)
			if (!strcmp(results[j].name, seeds[i].result) && results[j].error != error)
				wrong("the seed says %s, it was %d", seeds[i].result, error);
		loads++;
		accepted += !error;
	}
	while (loads < wanted) {
		make_input();
		error = load(module);
		if (error > 0)
			continue;
		loads++;
		accepted += !error;
	}
	printf("inputs=%lu accepted=%lu refused=%lu\n", loads, accepted, loads - accepted);
	return 0;
}
