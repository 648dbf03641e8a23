/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver in C: what its files share.
 *
 * main.c binds a device, node.c and line.c read its node, files.c makes its debugfs files, button.c
 * has the halves of its interrupt, lab.c carries out presses, room.c looks for memory, request.c
 * says what may be asked for, and inspect.c finds out what was got. methods.c is the table of the
 * methods, which are in slab.c, vmalloc.c, dma.c, page.c and list.c.
 */
#ifndef ALLOCLAB_PEER_H
#define ALLOCLAB_PEER_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/irqreturn.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/seq_buf.h>
#include <linux/types.h>

struct dentry;
struct device;
struct dma_pool;
struct kmem_cache;
struct lab;
struct page;
struct platform_device;
struct seq_file;

#define DRIVER_NAME "alloclab"

/* The longest text that says what is allowed, in bytes. */
#define WHY_BYTES 320
/* The longest text that is written to a file, in bytes. */
#define TEXT_BYTES 128

/* Text that need not be terminated. */
struct word {
	const char *text;
	size_t len;
};

enum base {
	BASE_KERNEL,
	BASE_ATOMIC,
	BASE_NOWAIT,
	BASE_NOIO,
	BASE_NOFS,
	BASE_USER,
	BASE_HIGHUSER,
	BASE_DMA,
	BASE_DMA32,
	NR_BASES
};

enum modifier {
	MOD_ZERO,
	MOD_NOWARN,
	MOD_NORETRY,
	MOD_RETRY_MAYFAIL,
	MOD_NOFAIL,
	MOD_HIGH,
	MOD_THISNODE,
	MOD_ACCOUNT,
	MOD_COMP,
	NR_MODIFIERS
};

/* GFP flags, and the words that they were made of. */
struct flags {
	enum base base;
	unsigned int modifiers;	/* bits by enum modifier */
	gfp_t gfp;
};

/* Where a press allocates: in the interrupt's thread, or in the interrupt itself. */
enum context {
	CONTEXT_THREAD,
	CONTEXT_HARD,
};

struct request {
	size_t size;
	struct flags flags;
	enum context context;
};

/* Stands for a method in settings that go through all of them. */
#define CYCLE (-1)

/* What users asked for, and which methods accept it. */
struct settings {
	int only;		/* a method, or CYCLE */
	bool own_size;		/* each method has its default size */
	size_t size;
	struct flags flags;
	enum context context;
	unsigned long accepted;	/* bits by method */
};

/* Why a method refuses a request, in the order of how much that tells if all of them do. */
enum objection {
	OBJECTION_NONE,
	OBJECTION_WORD,
	OBJECTION_SIZE,
	OBJECTION_TOGETHER,
	OBJECTION_SLEEPS,
};

struct refusal {
	enum objection objection;
	unsigned int method;
	const char *text;	/* the word, the name of the limit, or the reason */
	size_t size;
	size_t largest;
};

/* What was allocated, or is being allocated. */
struct held {
	unsigned int index;
	const struct method *method;
	struct request request;

	void *addr;
	dma_addr_t dma;
	union {
		struct page *page;
		struct {
			unsigned int steps;
			unsigned int moves;
		};
		struct {
			struct list_head records;
			size_t nr_records;
		};
	};

	int err;
	bool tried;		/* false: there is no room but for `most` bytes */
	bool in_cycle;
	size_t most;
	ktime_t start;
	u64 alloc_ns;
	u64 press;
};

static inline gfp_t gfp_of(const struct held *held)
{
	return held->request.flags.gfp;
}

/* What a method returns that has got memory, or NULL. */
static inline int got(struct held *held, void *addr)
{
	held->addr = addr;
	return addr ? 0 : -ENOMEM;
}

/* When memory is zeroed, apart from what the kernel does to all that it allocates. */
enum zeroes {
	ZEROES_ASKED,		/* where the flags ask for it */
	ZEROES_ALWAYS,
	ZEROES_NEVER,		/* nor by the kernel itself */
};

/* What methods take whose flags are not what they are about. */
#define PLAIN_BASES (BIT(BASE_KERNEL) | BIT(BASE_ATOMIC) | BIT(BASE_NOWAIT))
#define PLAIN_MODIFIERS (BIT(MOD_ZERO) | BIT(MOD_NOWARN) | BIT(MOD_ACCOUNT))
#define ALL_BASES (BIT(NR_BASES) - 1)
#define ALL_MODIFIERS (BIT(NR_MODIFIERS) - 1)
/* What the slab allocator takes without a warning. */
#define SLAB_BASES (ALL_BASES & ~(BIT(BASE_HIGHUSER) | BIT(BASE_DMA32)))
#define SLAB_MODIFIERS (ALL_MODIFIERS & ~BIT(MOD_COMP))

/* How the pages of an allocation are found. */
enum pages {
	PAGES_AT_ADDR,
	PAGES_ONE,		/* the page; its address was a temporary mapping */
	PAGES_ANYWHERE,		/* not at all */
};

/* One way to allocate. */
struct method {
	const char *name;

	size_t default_size;
	size_t largest;
	const char *limit;	/* the name of `largest` */
	bool ram;		/* `largest`, or all memory if that is less */
	bool contiguous;
	enum zeroes zeroes;
	unsigned int bases;	/* bits by enum base */
	unsigned int modifiers;	/* bits by enum modifier */
	const char *sleeps;	/* why it is not for the interrupt itself, if so */

	enum pages pages;
	bool dma;		/* it has an address for the device */
	bool written;		/* the driver has written to all of it */
	bool of_device;		/* the device frees it when it is unbound */

	int (*setup)(struct lab *lab);
	const char *(*objection)(const struct request *request);
	int (*alloc)(struct lab *lab, struct held *held);
	void (*free)(struct lab *lab, struct held *held);
	size_t (*usable)(const struct held *held);
	void (*remarks)(struct lab *lab, const struct held *held);
	void (*details)(struct seq_file *m, struct lab *lab, const struct held *held);
};

extern const struct method kmalloc_method, kzalloc_method, vmalloc_method, coherent_method,
	krealloc_method, kvmalloc_method, vzalloc_method, raw_kmalloc_method, raw_vmalloc_method,
	devm_method, page_method, pages_method, slab_method, mempool_method, dmapool_method,
	static_method, list_method;

/* The table, in the order of the cycle. */
#define NR_METHODS 17
extern const struct method * const methods[NR_METHODS];

/* What the settings ask a method for. */
static inline struct request settings_request(const struct settings *settings, unsigned int method)
{
	return (struct request) {
		.size = settings->own_size ? methods[method]->default_size : settings->size,
		.flags = settings->flags,
		.context = settings->context,
	};
}

/* A histogram: one bucket a value below 2^3, then eight a power of two, up to 2^36 ns (69 s). */
#define SUB_BITS 3
#define MAX_BITS 36
#define NR_BUCKETS ((MAX_BITS - SUB_BITS + 1) << SUB_BITS)

struct histogram {
	u32 buckets[NR_BUCKETS];
	u64 count;
	u64 max;
};

struct method_stats {
	u64 allocs;
	u64 frees;
	u64 failures;
	struct histogram alloc_ns;
	struct histogram free_ns;
};

#define NO_EDGE_YET S64_MIN

/* Where the hard half runs. */
enum place {
	IN_HARDIRQ,
	IN_SOFTIRQ,
	IN_THREAD,
	NR_PLACES
};

/* The hand-over between the hard half and who has the lock: whose `held` is. */
enum order {
	ORDER_CLOSED,		/* the lock's: nothing is ordered */
	ORDER_OPEN,		/* nobody's: what it asks for is ordered */
	ORDER_TAKEN,		/* the hard half's, which allocates */
	ORDER_DONE,		/* the lock's: the hard half has allocated, or failed to */
};

/* One button with what it holds. */
struct lab {
	struct device *dev;
	const char *label;	/* NULL: the name of the node */
	int irq;		/* 0: none */
	bool closing;		/* what takes long is to end */
	bool hard;		/* the settings ask for the hard half */

	ktime_t probed;
	s64 window_ns;
	s64 last_ns;		/* the hard half's alone: the last edge, since probe */

	atomic64_t edges[NR_PLACES];
	atomic64_t bounces;
	atomic64_t deferred;
	atomic64_t waiting;

	atomic_t order;
	struct held held;

	/* Held from before a press is carried out until its line is logged. */
	struct mutex lock;
	bool holding;
	unsigned int next;	/* where the cycle stands */
	u64 presses;
	struct settings settings;
	struct method_stats *stats[NR_METHODS];

	/* The limit on lines, which has the lock, but for the timer and its number. */
	ktime_t lines_start;
	unsigned int lines;
	atomic64_t dropped;
	struct hrtimer burst;

	struct kmem_cache *cache;
	char *cache_name;
	mempool_t *pool;
	struct dma_pool *dma_pool;

	struct dentry *dir;
};

/* A parser of one setting; what is allowed is said where it returns an error. */
typedef int parse_fn(struct word text, struct settings *settings, struct seq_buf *why);

/* button.c */
irqreturn_t button_hard(int irq, void *data);
irqreturn_t button_thread(int irq, void *data);
irqreturn_t button_nested_thread(int irq, void *data);

/* files.c */
void files_create(struct lab *lab);
void files_remove(struct lab *lab);
int directory_create(void);
void directory_remove(void);
void files_allow_open(void);

/* inspect.c */

/* Pages that follow each other in physical memory; zeroed, it stands before the first run. */
struct run {
	size_t first;
	size_t pages;
	unsigned long pfn;
};

struct layout {
	size_t pages;
	size_t runs;
	size_t longest;
	int node;
};

size_t held_usable(const struct held *held);
bool held_next_run(const struct held *held, struct run *run);
struct layout held_layout(const struct held *held);
const char *held_zeroed(const struct held *held);
bool is_confidential(void);
dma_addr_t shown_dma(const struct held *held);
u64 percentile(const struct histogram *histogram, unsigned int percent);
const char *error_name(int err);
const char *escape(char *buf, size_t size, struct word text);

/* lab.c */
int lab_start(struct lab *lab);
void lab_stop(struct lab *lab);
void lab_press(struct lab *lab);
void lab_settle(struct lab *lab);
void lab_allocate(struct lab *lab);
int lab_set(struct lab *lab, const char *name, struct word text, parse_fn *parse);
void lab_refuse(struct lab *lab, const char *name, struct word text, struct seq_buf *why);
void lab_say_passed_over(struct lab *lab, const struct settings *settings, bool limited);
bool lab_line(struct lab *lab);
unsigned int lab_next(const struct settings *settings, unsigned int next);

/* line.c */
int line_find(struct platform_device *pdev, unsigned long *trigger);
bool line_is_nested(int irq);

/* node.c */
int node_read(struct lab *lab, u32 *debounce_ms);
void node_show(struct device *dev, const char *name, struct seq_buf *shown);
bool node_has(struct device *dev, const char *name);

/* request.c */
parse_fn parse_method, parse_size, parse_gfp, parse_context;
int parse_number(struct word text, size_t *number);
void print_methods(struct seq_file *m, const struct settings *settings);
void print_flags(struct seq_buf *s, const struct flags *flags);
const char *context_name(enum context context);
int settings_check(struct settings *settings, struct refusal *refusal, struct seq_buf *why);
bool method_refuses(unsigned int method, const struct request *request, struct refusal *refusal);
void print_refusal(struct seq_buf *s, const struct refusal *refusal);

/* room.c */
bool take_room(size_t size, size_t *most);
void give_room(size_t size);

#endif
