// SPDX-License-Identifier: GPL-2.0
#include "fuzz_input.h"

struct seed seeds[SEEDS_MAX];
size_t nr_seeds;
unsigned long random_state;

/* splitmix64 */
static unsigned long random64(void)
{
	unsigned long z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

unsigned long below(unsigned long limit)
{
	return random64() % limit;
}

bool one_in(unsigned long times)
{
	return below(times) == 0;
}

static void show(const char *bytes, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len && i < SHOWN_MAX; i++) {
		unsigned char c = bytes[i];

		if (c > ' ' && c <= '~' && c != '\\' && c != '"')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	printf(len > SHOWN_MAX ? "\"... (%zu bytes)" : "\"", len);
}

const char *doing = "start";
const char *doing_file = "";
struct text input;

noreturn void wrong(const char *format, ...)
{
	va_list arguments;

	printf("WRONG: %s %s ", doing, doing_file);
	show(input.bytes, input.len);
	printf(": ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	exit(1);
}

void clear(struct text *text)
{
	text->len = 0;
}

void add(struct text *text, const char *bytes, size_t len)
{
	if (len > TEXT_MAX - text->len)
		len = TEXT_MAX - text->len;
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

void add_word(struct text *text, const char *word)
{
	add(text, word, strlen(word));
}

void add_fill(struct text *text, char byte, size_t len)
{
	while (len-- && text->len < TEXT_MAX)
		text->bytes[text->len++] = byte;
}

unsigned long odd_number(void)
{
	static const unsigned long odd[] = {
		0, 1, 2, 63, 64, 65, 100, 128, 255, 256, 1000, 4095, 4096, 8192, 1000000, 1000001,
		INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX >> 10, UINT64_MAX >> 20,
	};

	switch (below(4)) {
	case 0:
		return odd[below(ARRAY_SIZE(odd))];
	case 1:
		return (1ULL << below(64)) + below(3) - 1;
	case 2:
		return below(100000);
	default:
		return random64() >> below(64);
	}
}

void add_number(struct text *text, unsigned long number)
{
	static const char *const formats[] = {
		"%llu", "0x%llx", "0X%llX", "0%llo", "-%llu", "+%llu", "%lld", "00000000%llu",
		"%llu9999999999999999999999", "%llu.5", "%llue3", " %llu", "0b%llu", "%llu_000",
	};
	size_t format = one_in(4) ? below(ARRAY_SIZE(formats)) : 0;
	char digits[128];

	snprintf(digits, sizeof(digits), formats[format], (unsigned long long)number);
	add_word(text, digits);
}

void mutate(struct text *text)
{
	static const char odd[] = { 0, '\n', ' ', '+', '\t', '\r', 0x7f, '\x80', '\xff', '\xc3' };

	for (unsigned long left = 1 + below(4); left; left--) {
		size_t at = below(text->len + 1);
		size_t rest = text->len - at;
		char byte = one_in(2) ? odd[below(sizeof(odd))] : (char)random64();

		switch (below(6)) {
		case 0:
			if (rest)
				text->bytes[at] ^= 1 << below(8);
			break;
		case 1:
			if (rest)
				text->bytes[at] = byte;
			break;
		case 2:
			if (text->len == TEXT_MAX)
				break;
			memmove(text->bytes + at + 1, text->bytes + at, rest);
			text->bytes[at] = byte;
			text->len++;
			break;
		case 3:
			if (!rest)
				break;
			memmove(text->bytes + at, text->bytes + at + 1, rest - 1);
			text->len--;
			break;
		case 4:
			text->len = at;
			break;
		default:
			/* The end once more. */
			if (rest < 64 && text->len + rest <= TEXT_MAX) {
				memcpy(text->bytes + text->len, text->bytes + at, rest);
				text->len += rest;
			}
		}
	}
}

void add_garbage(struct text *text)
{
	switch (below(4)) {
	case 0:
		for (unsigned long left = below(200); left; left--)
			add_fill(text, random64(), 1);
		break;
	case 1:
		add_fill(text, " \t\n\r\v\f"[below(6)], below(140));
		break;
	case 2:
		/* Around what a file looks at. */
		add_fill(text, "0k a\n"[below(5)], 120 + below(16));
		break;
	default:
		add_fill(text, random64(), below(TEXT_MAX + 1));
	}
}

/* Undoes \xHH. Returns the length. */
static size_t unescape(const char *from, char *to, size_t room)
{
	size_t len = 0;

	while (*from && len < room) {
		unsigned int byte;

		if (sscanf(from, "\\x%2x", &byte) == 1) {
			to[len++] = byte;
			from += 4;
		} else {
			to[len++] = *from++;
		}
	}
	return len;
}

void read_seeds(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];

	if (!file)
		wrong("%s: cannot be opened", path);
	while (fgets(line, sizeof(line), file)) {
		struct seed *seed = &seeds[nr_seeds];
		char word[sizeof(line)];

		if (sscanf(line, "%15s %15s %1023s", seed->file, seed->result, word) != 3 ||
		    *line == '#')
			continue;
		seed->len = strcmp(word, "-") ? unescape(word, seed->bytes, SEED_MAX) : 0;
		if (++nr_seeds == SEEDS_MAX)
			wrong("%s: too many seeds", path);
	}
	fclose(file);
}
