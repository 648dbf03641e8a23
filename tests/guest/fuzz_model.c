// SPDX-License-Identifier: GPL-2.0
#include "fuzz_model.h"

const char *const file_names[NR_FILES] = {
	"method", "size", "gfp", "context", "settings", "press", "live", "pages", "stats",
};

const char *const bases[NR_BASES] = {
	"kernel", "atomic", "nowait", "noio", "nofs", "user", "highuser", "dma", "dma32",
};

const char *const modifiers[NR_MODIFIERS] = {
	"zero", "nowarn", "noretry", "retry_mayfail", "nofail", "high", "thisnode", "account",
	"comp",
};

static const char *const contexts[] = { "thread", "hard" };

struct method methods[METHODS_MAX];
int nr_methods;
const struct settings defaults = { .method = CYCLE };

static bool same_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

int find_word(const char *text, size_t len, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (same_word(text, len, words[i]))
			return i;
	return -1;
}

/* Decimal digits only. Returns 0, -EINVAL, or -E2BIG for more than 64 bits. */
static int judge_number(const char *text, size_t len, unsigned long *number)
{
	bool fits = true;

	*number = 0;
	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, text[i] - '0', number))
			fits = false;
	}
	return fits ? 0 : -E2BIG;
}

static int judge_size(const char *text, size_t len, struct settings *now)
{
	static const char suffixes[] = "KkMmGg";
	const char *suffix;
	unsigned long unit = 1;
	int error;

	if (same_word(text, len, "default")) {
		now->sized = false;
		return 0;
	}
	suffix = len ? memchr(suffixes, text[len - 1], sizeof(suffixes) - 1) : NULL;
	if (suffix) {
		unit = 1ULL << (10 + 10 * ((suffix - suffixes) / 2));
		len--;
	}
	error = judge_number(text, len, &now->size);
	if (!error && __builtin_mul_overflow(now->size, unit, &now->size))
		error = -E2BIG;
	now->sized = true;
	return error;
}

static int judge_gfp(const char *text, size_t len, struct settings *now)
{
	bool first = true;

	now->modifiers = 0;
	while (true) {
		const char *plus = memchr(text, '+', len);
		size_t word_len = plus ? (size_t)(plus - text) : len;
		int word = first ? find_word(text, word_len, bases, ARRAY_SIZE(bases)) :
			   find_word(text, word_len, modifiers, ARRAY_SIZE(modifiers));

		if (word < 0 || (!first && now->modifiers & BIT(word)))
			return -EINVAL;
		if (first)
			now->base = word;
		else
			now->modifiers |= BIT(word);
		if (!plus)
			return 0;
		first = false;
		len -= word_len + 1;
		text = plus + 1;
	}
}

static unsigned long size_of(const struct settings *now, const struct method *method)
{
	return now->sized ? now->size : method->default_size;
}

/* What one method says to settings: 0, -E2BIG for too large a size, or else -EINVAL. */
static int judge_method(const struct settings *now, const struct method *method)
{
	unsigned int efforts = now->modifiers &
			       (BIT(NORETRY) | BIT(RETRY_MAYFAIL) | BIT(NOFAIL));
	bool sleeps = now->base != ATOMIC && now->base != NOWAIT;
	unsigned long size = size_of(now, method);

	if (size > method->largest)
		return -E2BIG;
	if (!size || !(method->bases & BIT(now->base)) || now->modifiers & ~method->modifiers)
		return -EINVAL;
	if (efforts & (efforts - 1))
		return -EINVAL;
	if (now->modifiers & BIT(NOFAIL) &&
	    (!sleeps || size > method->nofail_bytes))
		return -EINVAL;
	return now->context && (sleeps || !method->hard) ? -EINVAL : 0;
}

/* What has to come of settings: 0 or the error. */
static int judge_settings(const struct settings *now)
{
	if (now->method != CYCLE)
		return judge_method(now, &methods[now->method]);
	for (int i = 0; i < nr_methods; i++)
		if (!judge_method(now, &methods[i]))
			return 0;
	return -EINVAL;
}

/* What white space leaves of a text. */
static const char *trim(const char *text, size_t *len)
{
	while (*len && memchr(" \t\n", *text, 3)) {
		text++;
		(*len)--;
	}
	while (*len && memchr(" \t\n", text[*len - 1], 3))
		(*len)--;
	return text;
}

/* What has to come of the value of one setting: 0 or the error. */
static int judge_value(enum file file, const char *text, size_t len, struct settings *then)
{
	int word;

	switch (file) {
	case METHOD:
		then->method = CYCLE;
		if (same_word(text, len, "cycle"))
			return 0;
		for (word = 0; word < nr_methods; word++)
			if (same_word(text, len, methods[word].name))
				break;
		then->method = word;
		return word == nr_methods ? -EINVAL : 0;
	case SIZE:
		return judge_size(text, len, then);
	case GFP:
		return judge_gfp(text, len, then);
	default:
		word = find_word(text, len, contexts, ARRAY_SIZE(contexts));
		then->context = word;
		return word < 0 ? -EINVAL : 0;
	}
}

/* The same for several words NAME=VALUE: of the first that is wrong. */
static int judge_words(const char *text, size_t len, struct settings *then)
{
	unsigned int said = 0;

	if (!len)
		return -EINVAL;
	while (len) {
		size_t word_len = 0, name_len;
		const char *equals;
		int file, error;

		while (word_len < len && !memchr(" \t\n", text[word_len], 3))
			word_len++;
		if (word_len) {
			equals = memchr(text, '=', word_len);
			if (!equals)
				return -EINVAL;
			name_len = equals - text;
			file = find_word(text, name_len, file_names, NR_SINGLE);
			if (file < 0)
				return -EINVAL;
			error = judge_value(file, equals + 1, word_len - name_len - 1, then);
			if (error)
				return error;
			if (said & BIT(file))
				return -EINVAL;
			said |= BIT(file);
		}
		text += word_len;
		len -= word_len;
		/* The white space, if that was not the last word. */
		text += len > 0;
		len -= len > 0;
	}
	return 0;
}

int judge(enum file file, const char *text, size_t len, struct settings *now,
	  unsigned long *presses)
{
	struct settings then = *now;
	int error;

	*presses = 0;
	if (file >= LIVE)
		return -EINVAL;
	if (len > TEXT_BYTES)
		return -E2BIG;
	text = trim(text, &len);
	if (file == PRESS) {
		if (judge_number(text, len, presses) || !*presses || *presses > PRESSES_MAX) {
			*presses = 0;
			return -EINVAL;
		}
		return 0;
	}
	error = file == SETTINGS ? judge_words(text, len, &then) :
		judge_value(file, text, len, &then);
	if (!error)
		error = judge_settings(&then);
	if (!error)
		*now = then;
	return error;
}

/* What is said of one setting. */
static void add_setting(struct text *text, enum file file, const struct settings *now)
{
	char size[32];

	switch (file) {
	case METHOD:
		add_word(text, now->method == CYCLE ? "cycle" : methods[now->method].name);
		break;
	case SIZE:
		snprintf(size, sizeof(size), "%llu", (unsigned long long)now->size);
		add_word(text, now->sized ? size : "default");
		break;
	case GFP:
		add_word(text, bases[now->base]);
		for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++) {
			add_word(text, now->modifiers & BIT(i) ? "+" : "");
			add_word(text, now->modifiers & BIT(i) ? modifiers[i] : "");
		}
		break;
	default:
		add_word(text, contexts[now->context]);
	}
}

void expect(enum file file, const struct settings *now, struct text *text)
{
	clear(text);
	switch (file) {
	case METHOD:
		for (int i = CYCLE; i < nr_methods; i++) {
			add_word(text, i == CYCLE ? "" : " ");
			add_word(text, i == now->method ? "[" : "");
			add_word(text, i == CYCLE ? "cycle" : methods[i].name);
			add_word(text, i == now->method ? "]" : "");
		}
		break;
	case SETTINGS:
		for (enum file setting = 0; setting < NR_SINGLE; setting++) {
			add_word(text, setting ? " " : "");
			add_word(text, file_names[setting]);
			add_word(text, "=");
			add_setting(text, setting, now);
		}
		break;
	default:
		add_setting(text, file, now);
	}
	add_word(text, "\n");
}

static void add_value(struct text *text, enum file file)
{
	static const char *const suffixes[] = {
		"", "", "", "K", "M", "G", "k", "m", "g", "T", "B",
	};

	switch (file) {
	case METHOD:
		add_word(text, one_in(8) ? "cycle" : methods[below(nr_methods)].name);
		break;
	case SIZE:
		if (one_in(8)) {
			add_word(text, "default");
			break;
		}
		if (one_in(4))
			add_number(text, methods[below(nr_methods)].largest + below(3) - 1);
		else
			add_number(text, odd_number());
		add_word(text, suffixes[below(ARRAY_SIZE(suffixes))]);
		break;
	case GFP:
		add_word(text, bases[one_in(2) ? KERNEL : below(ARRAY_SIZE(bases))]);
		for (unsigned long left = below(4); left; left--) {
			add_word(text, "+");
			add_word(text, modifiers[below(ARRAY_SIZE(modifiers))]);
		}
		break;
	case CONTEXT:
		add_word(text, contexts[below(2)]);
		break;
	case PRESS:
		add_number(text, one_in(2) ? 1 + below(2) : odd_number());
		break;
	default:
		add_word(text, "none\n");
	}
}

void add_valid(struct text *text, enum file file)
{
	static const char *const between[] = { " ", " ", " ", "\n", "\t  " };

	if (file == SETTINGS) {
		for (unsigned long left = 1 + below(5); left; left--) {
			enum file setting = below(NR_SINGLE);

			add_word(text, file_names[setting]);
			add_word(text, "=");
			add_value(text, setting);
			if (left > 1)
				add_word(text, between[below(ARRAY_SIZE(between))]);
		}
	} else {
		add_value(text, file);
	}
	if (one_in(2))
		add_word(text, "\n");
}
