// SPDX-License-Identifier: GPL-2.0
/*
 * What users ask for: parsed, checked and printed, and what is said where it is not valid.
 */
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "peer.h"

static const char size_allowed[] =
	"allowed are default or bytes in decimal, with K, M or G for KiB, MiB or GiB";
static const char thread_allowed[] =
	"allowed is thread, as on a PREEMPT_RT kernel no interrupt may allocate";

/* The most pages that the page allocator looks for until there are any. */
#define NOFAIL_PAGES 2

struct flag {
	const char *name;
	gfp_t gfp;
};

static const struct flag bases[NR_BASES] = {
	[BASE_KERNEL] = { "kernel", GFP_KERNEL },
	[BASE_ATOMIC] = { "atomic", GFP_ATOMIC },
	[BASE_NOWAIT] = { "nowait", GFP_NOWAIT },
	[BASE_NOIO] = { "noio", GFP_NOIO },
	[BASE_NOFS] = { "nofs", GFP_NOFS },
	[BASE_USER] = { "user", GFP_USER },
	[BASE_HIGHUSER] = { "highuser", GFP_HIGHUSER },
	[BASE_DMA] = { "dma", GFP_KERNEL | __GFP_DMA },
	[BASE_DMA32] = { "dma32", GFP_KERNEL | __GFP_DMA32 },
};

static const struct flag modifiers[NR_MODIFIERS] = {
	[MOD_ZERO] = { "zero", __GFP_ZERO },
	[MOD_NOWARN] = { "nowarn", __GFP_NOWARN },
	[MOD_NORETRY] = { "noretry", __GFP_NORETRY },
	[MOD_RETRY_MAYFAIL] = { "retry_mayfail", __GFP_RETRY_MAYFAIL },
	[MOD_NOFAIL] = { "nofail", __GFP_NOFAIL },
	[MOD_HIGH] = { "high", __GFP_HIGH },
	[MOD_THISNODE] = { "thisnode", __GFP_THISNODE },
	[MOD_ACCOUNT] = { "account", __GFP_ACCOUNT },
	[MOD_COMP] = { "comp", __GFP_COMP },
};

static bool word_is(struct word word, const char *text)
{
	return word.len == strlen(text) && !memcmp(word.text, text, word.len);
}

static int find_flag(const struct flag *flags, unsigned int nr, struct word word)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (word_is(word, flags[i].name))
			return i;
	return -EINVAL;
}

/* Takes the text up to the next '+' off; false where nothing is left. */
static bool next_word(struct word *rest, struct word *word)
{
	const char *plus;

	if (!rest->text)
		return false;
	*word = *rest;
	plus = memchr(rest->text, '+', rest->len);
	if (!plus) {
		rest->text = NULL;
		return true;
	}
	word->len = plus - rest->text;
	rest->len -= word->len + 1;
	rest->text = plus + 1;
	return true;
}

/* A base and its modifiers, each modifier at most once and in any order. */
static int split_flags(struct word text, struct flags *flags)
{
	struct word word;
	int found;

	if (!next_word(&text, &word))
		return -EINVAL;
	found = find_flag(bases, NR_BASES, word);
	if (found < 0)
		return found;
	flags->base = found;
	flags->modifiers = 0;
	flags->gfp = bases[found].gfp;

	while (next_word(&text, &word)) {
		found = find_flag(modifiers, NR_MODIFIERS, word);
		if (found < 0 || flags->modifiers & BIT(found))
			return -EINVAL;
		flags->modifiers |= BIT(found);
		flags->gfp |= modifiers[found].gfp;
	}
	return 0;
}

int parse_gfp(struct word text, struct settings *settings, struct seq_buf *why)
{
	unsigned int i;

	if (!split_flags(text, &settings->flags))
		return 0;

	seq_buf_puts(why, "allowed are one of");
	for (i = 0; i < NR_BASES; i++)
		seq_buf_printf(why, " %s", bases[i].name);
	seq_buf_puts(why, ", then any of");
	for (i = 0; i < NR_MODIFIERS; i++)
		seq_buf_printf(why, " +%s", modifiers[i].name);
	return -EINVAL;
}

void print_flags(struct seq_buf *s, const struct flags *flags)
{
	unsigned int i;

	seq_buf_puts(s, bases[flags->base].name);
	for (i = 0; i < NR_MODIFIERS; i++)
		if (flags->modifiers & BIT(i))
			seq_buf_printf(s, "+%s", modifiers[i].name);
}

int parse_method(struct word text, struct settings *settings, struct seq_buf *why)
{
	unsigned int i;

	if (word_is(text, "cycle")) {
		settings->only = CYCLE;
		return 0;
	}
	for (i = 0; i < NR_METHODS; i++) {
		if (word_is(text, methods[i]->name)) {
			settings->only = i;
			return 0;
		}
	}

	seq_buf_puts(why, "allowed are cycle");
	for (i = 0; i < NR_METHODS; i++)
		seq_buf_printf(why, ", %s", methods[i]->name);
	return -EINVAL;
}

void print_methods(struct seq_file *m, const struct settings *settings)
{
	int i;

	seq_puts(m, settings->only == CYCLE ? "[cycle]" : "cycle");
	for (i = 0; i < NR_METHODS; i++)
		seq_printf(m, i == settings->only ? " [%s]" : " %s", methods[i]->name);
	seq_putc(m, '\n');
}

/* Decimal digits: returns -E2BIG for a number that does not fit, -EINVAL for anything else. */
int parse_number(struct word text, size_t *number)
{
	bool overflow = false;
	size_t i;

	*number = 0;
	for (i = 0; i < text.len; i++) {
		if (!isdigit(text.text[i]))
			return -EINVAL;
		overflow |= check_mul_overflow(*number, (size_t)10, number);
		overflow |= check_add_overflow(*number, (size_t)(text.text[i] - '0'), number);
	}
	if (!text.len)
		return -EINVAL;
	return overflow ? -E2BIG : 0;
}

int parse_size(struct word text, struct settings *settings, struct seq_buf *why)
{
	static const char suffixes[] = "kmg";
	const char *suffix = NULL;
	unsigned int shift = 0;
	size_t size;
	int err;

	settings->own_size = word_is(text, "default");
	if (settings->own_size)
		return 0;

	if (text.len && isalpha(text.text[text.len - 1]))
		suffix = strchr(suffixes, tolower(text.text[text.len - 1]));
	if (suffix) {
		shift = 10 * (suffix - suffixes + 1);
		text.len--;
	}
	err = parse_number(text, &size);
	if (!err && size > SIZE_MAX >> shift)
		err = -E2BIG;
	if (err == -E2BIG)
		seq_buf_printf(why, "allowed are numbers up to %zu", SIZE_MAX);
	else if (err)
		seq_buf_puts(why, size_allowed);
	settings->size = size << shift;
	return err;
}

const char *context_name(enum context context)
{
	return context == CONTEXT_HARD ? "hard" : "thread";
}

int parse_context(struct word text, struct settings *settings, struct seq_buf *why)
{
	if (word_is(text, "thread")) {
		settings->context = CONTEXT_THREAD;
		return 0;
	}
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		seq_buf_puts(why, thread_allowed);
		return -EINVAL;
	}
	if (word_is(text, "hard")) {
		settings->context = CONTEXT_HARD;
		return 0;
	}
	seq_buf_puts(why, "allowed are thread, hard");
	return -EINVAL;
}

/* Returns the word of the flags that the method does not take, if there is one. */
static const char *not_taken(const struct method *method, const struct flags *flags)
{
	unsigned int others = flags->modifiers & ~method->modifiers;

	if (!(method->bases & BIT(flags->base)))
		return bases[flags->base].name;
	return others ? modifiers[__ffs(others)].name : NULL;
}

static bool takes(const struct method *method, const char *word)
{
	struct word text = { word, strlen(word) };
	int base = find_flag(bases, NR_BASES, text);
	int modifier = find_flag(modifiers, NR_MODIFIERS, text);

	return (base >= 0 && method->bases & BIT(base)) ||
	       (modifier >= 0 && method->modifiers & BIT(modifier));
}

/* Returns what is wrong with the flags as a whole, if anything is. */
static const char *not_together(const struct method *method, const struct request *request)
{
	const struct flags *flags = &request->flags;
	bool nofail = flags->modifiers & BIT(MOD_NOFAIL);
	unsigned int efforts = flags->modifiers &
			       (BIT(MOD_NORETRY) | BIT(MOD_RETRY_MAYFAIL) | BIT(MOD_NOFAIL));

	if (hweight32(efforts) > 1)
		return "noretry, retry_mayfail and nofail exclude each other";
	if (nofail && !gfpflags_allow_blocking(flags->gfp))
		return "nofail has to wait, and with this base it must not sleep";
	if (nofail && method->contiguous && request->size > NOFAIL_PAGES * PAGE_SIZE)
		return "nofail is for at most two contiguous pages";
	return NULL;
}

static const char *not_in_context(const struct method *method, const struct request *request)
{
	if (request->context != CONTEXT_HARD)
		return NULL;
	if (gfpflags_allow_blocking(request->flags.gfp))
		return "its flags let it sleep";
	return method->sleeps;
}

static size_t largest_size(const struct method *method)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;

	return method->ram ? min_t(u64, method->largest, ram) : method->largest;
}

/* Refuses what cannot work, or what the kernel would warn about; says why. */
bool method_refuses(unsigned int index, const struct request *request, struct refusal *refusal)
{
	const struct method *method = methods[index];

	*refusal = (struct refusal) {
		.method = index,
		.size = request->size,
		.largest = largest_size(method),
	};
	if (!request->size || request->size > refusal->largest) {
		refusal->objection = OBJECTION_SIZE;
		refusal->text = method->limit;
		return true;
	}
	/* Only of a size, how much is taken tells anything. */
	refusal->largest = 0;
	refusal->text = not_taken(method, &request->flags);
	if (refusal->text) {
		refusal->objection = OBJECTION_WORD;
		return true;
	}
	refusal->text = not_together(method, request);
	if (refusal->text) {
		refusal->objection = OBJECTION_TOGETHER;
		return true;
	}
	refusal->text = not_in_context(method, request);
	if (refusal->text) {
		refusal->objection = OBJECTION_SLEEPS;
		return true;
	}
	refusal->text = method->objection ? method->objection(request) : NULL;
	if (refusal->text)
		refusal->objection = OBJECTION_TOGETHER;
	return refusal->text;
}

void print_refusal(struct seq_buf *s, const struct refusal *refusal)
{
	unsigned int i;

	seq_buf_puts(s, methods[refusal->method]->name);
	switch (refusal->objection) {
	case OBJECTION_NONE:
		break;
	case OBJECTION_WORD:
		seq_buf_printf(s, " does not take %s, which is for", refusal->text);
		for (i = 0; i < NR_METHODS; i++)
			if (takes(methods[i], refusal->text))
				seq_buf_printf(s, " %s", methods[i]->name);
		break;
	case OBJECTION_SIZE:
		seq_buf_printf(s, " takes 1 to %zu bytes (%s), not %zu", refusal->largest,
			       refusal->text, refusal->size);
		break;
	case OBJECTION_TOGETHER:
		seq_buf_printf(s, ": %s", refusal->text);
		break;
	case OBJECTION_SLEEPS:
		seq_buf_printf(s, " is not for hard interrupt context: %s", refusal->text);
		break;
	}
}

/*
 * Finds out which methods accept the settings: a single one must, of the cycle at least one.
 * Returns -E2BIG where a single one refuses them for too large a size, -EINVAL where they are
 * refused for anything else. `most` is then the most telling refusal.
 */
int settings_check(struct settings *settings, struct refusal *most, struct seq_buf *why)
{
	struct refusal refusal;
	unsigned int i;

	*most = (struct refusal) { .objection = OBJECTION_NONE };
	settings->accepted = 0;
	for (i = 0; i < NR_METHODS; i++) {
		struct request request = settings_request(settings, i);

		/* What the others say of a single method's settings does not matter. */
		if ((settings->only != CYCLE && settings->only != i) ||
		    !method_refuses(i, &request, &refusal))
			settings->accepted |= BIT(i);
		else if (refusal.objection > most->objection ||
			 (refusal.objection == most->objection &&
			  refusal.largest >= most->largest))
			*most = refusal;
	}

	if (settings->only == CYCLE && settings->accepted)
		return 0;
	if (settings->only != CYCLE && settings->accepted & BIT(settings->only))
		return 0;
	if (settings->only == CYCLE)
		seq_buf_puts(why, "every method refuses it, as ");
	print_refusal(why, most);
	if (settings->only != CYCLE && most->objection == OBJECTION_SIZE && most->size)
		return -E2BIG;
	return -EINVAL;
}
