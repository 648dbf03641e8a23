// SPDX-License-Identifier: GPL-2.0
/*
 * The debugfs files: every name and every text format.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "peer.h"

/* The most presses that one write can ask for. */
#define MAX_PRESSES 1000000

struct file_desc {
	const char *name;
	umode_t mode;
	int (*show)(struct seq_file *m, void *unused);
	parse_fn *parse;	/* of a setting; else what is written is a number of presses */
};

/* The directory that the devices share. */
static struct dentry *directory;

/* Whether the module's init can fail no more: until then, no file opens. */
static bool loaded;

static struct settings settings_of(struct lab *lab)
{
	guard(mutex)(&lab->lock);
	return lab->settings;
}

static int show_method(struct seq_file *m, void *unused)
{
	struct settings settings = settings_of(m->private);

	print_methods(m, &settings);
	return 0;
}

static int show_size(struct seq_file *m, void *unused)
{
	struct settings settings = settings_of(m->private);

	if (settings.own_size)
		seq_puts(m, "default\n");
	else
		seq_printf(m, "%zu\n", settings.size);
	return 0;
}

static void show_flags(struct seq_file *m, const char *key, const struct flags *flags)
{
	DECLARE_SEQ_BUF(text, WHY_BYTES);

	print_flags(&text, flags);
	seq_printf(m, "%s%s\n", key, seq_buf_str(&text));
}

static int show_gfp(struct seq_file *m, void *unused)
{
	struct settings settings = settings_of(m->private);

	show_flags(m, "", &settings.flags);
	return 0;
}

static int show_context(struct seq_file *m, void *unused)
{
	struct settings settings = settings_of(m->private);

	seq_printf(m, "%s\n", context_name(settings.context));
	return 0;
}

/* The node's name where the node has no label, the device's without a node. */
static void show_label(struct seq_file *m, const struct lab *lab)
{
	if (lab->label)
		seq_printf(m, "label: %s\n", lab->label);
	else if (lab->dev->of_node)
		seq_printf(m, "label: %pOFP\n", lab->dev->of_node);
	else
		seq_printf(m, "label: %s\n", dev_name(lab->dev));
}

static void show_layout(struct seq_file *m, const struct held *held)
{
	struct layout layout = held_layout(held);

	if (!layout.pages)
		return;
	seq_printf(m, "pages: %zu\nruns: %zu\nlongest_run: %zu\n", layout.pages, layout.runs,
		   layout.longest);
	seq_printf(m, "contiguous: %s\n", layout.runs == 1 ? "yes" : "no");
	if (layout.node >= 0)
		seq_printf(m, "node: %d\n", layout.node);
}

static int show_live(struct seq_file *m, void *unused)
{
	struct lab *lab = m->private;
	const struct held *held = &lab->held;
	const void *addr;
	size_t usable;

	guard(mutex)(&lab->lock);
	if (!lab->holding) {
		seq_puts(m, "none\n");
		return 0;
	}

	usable = held_usable(held);
	/* The alignment tells of the address too, and is 0 with it. */
	addr = is_confidential() ? NULL : held->addr;
	show_label(m, lab);
	seq_printf(m, "method: %s\n", held->method->name);
	seq_printf(m, "size: %zu\nusable: %zu\nslack: %zu\n", held->request.size, usable,
		   usable - held->request.size);
	seq_printf(m, "address: %pK\n", addr);
	seq_printf(m, "alignment: %lu\n", (unsigned long)addr & -(unsigned long)addr);
	if (held->method->dma)
		seq_printf(m, "dma: %#018llx\n", (u64)shown_dma(held));
	show_layout(m, held);
	if (held->method->dma)
		seq_printf(m, "dma_mask: %#018llx\n", dma_get_mask(lab->dev));
	if (held->method->details)
		held->method->details(m, lab, held);
	seq_printf(m, "zeroed: %s\n", held_zeroed(held));
	show_flags(m, "gfp: ", &held->request.flags);
	seq_printf(m, "context: %s\n", context_name(held->request.context));
	seq_printf(m, "alloc_ns: %llu\n", held->alloc_ns);
	seq_printf(m, "age_ns: %lld\n", ktime_to_ns(ktime_sub(ktime_get(), held->start)));
	seq_printf(m, "press: %llu\n", held->press);
	return 0;
}

/* The runs: place of the first page in the allocation, its page frame number, how many pages. */
static int show_pages(struct seq_file *m, void *unused)
{
	struct lab *lab = m->private;
	struct run run = { };
	bool confidential;

	guard(mutex)(&lab->lock);
	if (!lab->holding) {
		seq_puts(m, "none\n");
		return 0;
	}
	confidential = is_confidential();
	while (held_next_run(&lab->held, &run))
		seq_printf(m, "%zu %lu %zu\n", run.first, confidential ? 0 : run.pfn, run.pages);
	return 0;
}

static void show_histogram(struct seq_file *m, const char *key, const struct histogram *histogram)
{
	seq_printf(m, " %s=%llu,%llu,%llu", key, percentile(histogram, 50),
		   percentile(histogram, 99), histogram->max);
}

static int show_stats(struct seq_file *m, void *unused)
{
	struct lab *lab = m->private;
	u64 allocs = 0, frees = 0, failures = 0, deferred, bounces, edges[NR_PLACES];
	unsigned int i;

	/* Before the lock: an edge that comes later has a press that is not carried out yet. */
	deferred = atomic64_read(&lab->deferred);
	for (i = 0; i < NR_PLACES; i++)
		edges[i] = atomic64_read(&lab->edges[i]);
	bounces = atomic64_read(&lab->bounces);

	guard(mutex)(&lab->lock);
	for (i = 0; i < NR_METHODS; i++) {
		allocs += lab->stats[i]->allocs;
		frees += lab->stats[i]->frees;
		failures += lab->stats[i]->failures;
	}
	show_label(m, lab);
	seq_printf(m, "edges: %llu\n", edges[IN_HARDIRQ] + edges[IN_SOFTIRQ] + edges[IN_THREAD]);
	seq_printf(m, "edges_in: hardirq=%llu softirq=%llu thread=%llu\n", edges[IN_HARDIRQ],
		   edges[IN_SOFTIRQ], edges[IN_THREAD]);
	seq_printf(m, "presses: %llu\nbounces: %llu\ndeferred: %llu\n", lab->presses, bounces,
		   deferred);
	seq_printf(m, "allocs: %llu\nfrees: %llu\nfailures: %llu\n", allocs, frees, failures);
	seq_printf(m, "bytes_held: %zu\n", lab->holding ? lab->held.request.size : 0);
	seq_printf(m, "next: %s\n", methods[lab_next(&lab->settings, lab->next)]->name);

	for (i = 0; i < NR_METHODS; i++) {
		const struct method_stats *stats = lab->stats[i];

		seq_printf(m, "%s: allocs=%llu frees=%llu failures=%llu", methods[i]->name,
			   stats->allocs, stats->frees, stats->failures);
		show_histogram(m, "alloc_ns", &stats->alloc_ns);
		show_histogram(m, "free_ns", &stats->free_ns);
		seq_putc(m, '\n');
	}
	return 0;
}

static int refuse(struct lab *lab, const char *name, struct word text, int err, const char *fmt,
		  unsigned int most)
{
	DECLARE_SEQ_BUF(why, WHY_BYTES);

	seq_buf_printf(&why, fmt, most);
	lab_refuse(lab, name, text, &why);
	return err;
}

static int press(struct lab *lab, const char *name, struct word text)
{
	size_t presses;

	if (parse_number(text, &presses) || !presses || presses > MAX_PRESSES)
		return refuse(lab, name, text, -EINVAL, "allowed are 1 to %u", MAX_PRESSES);

	while (presses--) {
		if (READ_ONCE(lab->closing))
			return -ENODEV;
		if (signal_pending(current))
			return -EINTR;
		lab_press(lab);
		cond_resched();
	}
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static ssize_t file_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	const struct file_desc *desc = debugfs_get_aux(file);
	struct seq_file *m = file->private_data;
	struct lab *lab = m->private;
	char bytes[TEXT_BYTES];
	struct word text = { bytes, min_t(size_t, len, TEXT_BYTES) };
	int err;

	if (copy_from_user(bytes, buf, text.len))
		return -EFAULT;
	for (; text.len && is_blank(*text.text); text.text++)
		text.len--;
	while (text.len && is_blank(text.text[text.len - 1]))
		text.len--;

	if (len > TEXT_BYTES)
		err = refuse(lab, desc->name, text, -E2BIG, "allowed are up to %u bytes",
			     TEXT_BYTES);
	else if (desc->parse)
		err = lab_set(lab, desc->name, text, desc->parse);
	else
		err = press(lab, desc->name, text);
	return err ?: len;
}

static int file_open(struct inode *inode, struct file *file)
{
	const struct file_desc *desc = debugfs_get_aux(file);

	if (!READ_ONCE(loaded))
		return -ENXIO;
	return single_open(file, desc->show, inode->i_private);
}

static const struct file_operations read_operations = {
	.owner = THIS_MODULE,
	.open = file_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations write_operations = {
	.owner = THIS_MODULE,
	.open = file_open,
	.write = file_write,
	.llseek = noop_llseek,
	.release = single_release,
};

static const struct file_operations both_operations = {
	.owner = THIS_MODULE,
	.open = file_open,
	.read = seq_read,
	.write = file_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_desc files[] = {
	{ "method", 0600, show_method, parse_method },
	{ "size", 0600, show_size, parse_size },
	{ "gfp", 0600, show_gfp, parse_gfp },
	{ "context", 0600, show_context, parse_context },
	{ "press", 0200 },
	{ "live", 0400, show_live },
	{ "pages", 0400, show_pages },
	{ "stats", 0400, show_stats },
};

/* What cannot be made is logged and left out: the button works without it. */
void files_create(struct lab *lab)
{
	const struct file_operations *operations;
	const struct file_desc *desc;
	struct dentry *dentry;

	if (IS_ERR_OR_NULL(directory))
		return;
	lab->dir = debugfs_create_dir(dev_name(lab->dev), directory);
	if (IS_ERR(lab->dir)) {
		dev_err(lab->dev, "no debugfs directory: %s\n", error_name(PTR_ERR(lab->dir)));
		return;
	}
	for (desc = files; desc < files + ARRAY_SIZE(files); desc++) {
		operations = desc->parse ? &both_operations :
			     desc->show ? &read_operations : &write_operations;
		dentry = debugfs_create_file_aux(desc->name, desc->mode, lab->dir, lab, desc,
						 operations);
		if (IS_ERR(dentry))
			dev_err(lab->dev, "no debugfs file %s: %s\n", desc->name,
				error_name(PTR_ERR(dentry)));
	}
}

/* Sleeps until no file operation runs any more. */
void files_remove(struct lab *lab)
{
	debugfs_remove(lab->dir);
}

int directory_create(void)
{
	directory = debugfs_create_dir(DRIVER_NAME, NULL);
	return PTR_ERR_OR_ZERO(directory);
}

void directory_remove(void)
{
	debugfs_remove(directory);
}

void files_allow_open(void)
{
	WRITE_ONCE(loaded, true);
}
